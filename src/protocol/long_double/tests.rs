//! What redis-server 7.0.15 answered, and arithmetic that has to hold. `tests/redis_words.rs` asks
//! the real server about many more.

use super::*;

fn sum(value: &str, increment: &str) -> Result<String, FloatError> {
    let mut out = Vec::new();
    add(value.as_bytes(), increment.as_bytes(), &mut out)?;
    Ok(String::from_utf8(out).expect("digits"))
}

#[test]
fn sums_are_those_of_redis() {
    let table = [
        ("10", "0.1", "10.1"),
        ("3.0e3", "200", "3200"),
        ("0.1", "0.2", "0.3"),
        ("0", "1e-17", "0.00000000000000001"),
        ("0", "5e-18", "0"),
        ("0", "-5e-18", "0"),
        ("-0", "-0", "0"),
        ("0", "-.5", "-0.5"),
        ("0", "5.", "5"),
        ("0", "+1", "1"),
        ("0", "1E5", "100000"),
        ("0", "0x10", "16"),
        ("0x10", "1", "17"),
        ("0", "0x1.8p3", "12"),
        ("0", "0x.8", "0.5"),
        ("0", "0X1P4", "16"),
        ("0", "0x1p-18", "0.00000381469726562"),
        ("0", "0x1.ffffffffffffffffp0", "2"),
        ("0", "0x1p-16445", "0"),
        ("0", "0x1.8p-16446", "0"),
        ("0", "2e-4951", "0"),
        ("0", "0e99999999999999999999", "0"),
        ("0", "0e-99999999999999999999", "0"),
        ("1.1e4932", "-1.1e4932", "0"),
        ("1e400", "-1e400", "0"),
        ("18446744073709551615", "1", "18446744073709551616"),
        ("18446744073709551616", "1", "18446744073709551616"),
        ("9223372036854775807", "1", "9223372036854775808"),
        ("1", "1e-19", "1"),
        ("99999999999999999", "0.1", "99999999999999999.1015625"),
        ("123456789012345678", "0.1", "123456789012345678.1015625"),
        ("1e17", "0.3", "100000000000000000.296875"),
        ("0", "0.123456789012345678", "0.12345678901234568"),
    ];
    for (value, increment, expected) in table {
        let seen = sum(value, increment);
        assert_eq!(seen.as_deref(), Ok(expected), "{value} + {increment}");
    }
}

#[test]
fn what_redis_refuses_is_refused() {
    let longest = format!("{}1", "0".repeat(TEXT_BYTES_MAX - 1));
    assert_eq!(sum("0", &longest).as_deref(), Ok("1"));
    let too_long = format!("0{longest}");
    let invalid = [
        "",
        " 1",
        "1 ",
        "\x0b1",
        "1\x0b",
        "1\0",
        ".",
        "-",
        "+",
        "--1",
        "+-1",
        "1e",
        "1e+",
        "1_0",
        "1,0",
        "1d5",
        "0b1",
        "0x",
        "0x.",
        "0x1p",
        "0x1p+",
        "0xg",
        "x10",
        "infinit",
        "i",
        "nan",
        "-nan",
        "NaN(1)",
        "1e5000",
        "1.19e4932",
        "1e99999999999999999999",
        "1e-5000",
        "1e-4951",
        "1e-99999999999999999999",
        "0x1p-16446",
        "0x1p16384",
        "1.5.5",
        "1e1.5",
        &too_long,
    ];
    for text in invalid {
        assert_eq!(sum("0", text), Err(FloatError::Invalid), "{text}");
        assert_eq!(sum(text, "1"), Err(FloatError::Invalid), "{text}");
        assert_eq!(sum(text, "inf"), Err(FloatError::Invalid), "{text}");
    }
    for (value, increment) in [
        ("0", "inf"),
        ("-Infinity", "1"),
        ("inf", "-inf"),
        ("1e4932", "1e4932"),
        ("-1e4932", "-1.1e4932"),
    ] {
        let seen = sum(value, increment);
        assert_eq!(seen, Err(FloatError::NotFinite), "{value} + {increment}");
    }
}

#[test]
fn the_largest_number_has_all_its_digits() {
    let largest = sum("0", "0x1.fffffffffffffffep16383").expect("finite");
    assert_eq!(largest.len(), 4933);
    assert!(largest.starts_with("1189731495357231765021263853030970205169"));
    assert!(largest.ends_with("19552086811989770240"));
    assert_eq!(sum(&largest, "0"), Ok(largest));
}

#[test]
fn rounding_is_to_even_in_every_place() {
    let parts = |mantissa, exponent, is_inexact| {
        let number = LongDouble::round(false, mantissa, exponent, is_inexact);
        number.map(|number| (number.mantissa, number.exponent))
    };
    let top = 1u128 << 127;
    assert_eq!(parts(top, -127, false), Some((1 << 63, -63)));
    assert_eq!(parts(1, 0, false), Some((1 << 63, -63)));
    let half = 1u128 << 63;
    assert_eq!(parts(top | half, 0, false), Some((1 << 63, 64)));
    assert_eq!(parts(top | half, 0, true), Some(((1 << 63) | 1, 64)));
    assert_eq!(parts(top | (3 * half), 0, false), Some(((1 << 63) | 2, 64)));
    assert_eq!(parts(u128::MAX, 0, false), Some((1 << 63, 65)));
    assert_eq!(parts(1, EXPONENT_MIN - 1, false), Some((0, EXPONENT_MIN)));
    assert_eq!(parts(3, EXPONENT_MIN - 1, false), Some((2, EXPONENT_MIN)));
    assert_eq!(
        parts(1, EXPONENT_MAX + 63, false),
        Some((1 << 63, EXPONENT_MAX))
    );
    assert_eq!(parts(1, EXPONENT_MAX + 64, false), None);
    assert_eq!(parts(u128::MAX, EXPONENT_MAX - 64, false), None);
}
