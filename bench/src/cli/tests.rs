use std::time::Duration;

use clap::CommandFactory;

use super::*;
use crate::workload::arrivals::Spacing;
use crate::workload::popularity::Popularity;
use crate::workload::sizes::Sizes;

const BASE: &str = "ringfort-bench run --target h:1 --protocol resp";

fn parsed(line: &str) -> Result<Cli, Stop> {
    parse(line.split_whitespace().map(Into::into))
}

fn run_args(options: &str) -> RunArgs {
    match parsed(&format!("{BASE} {options}")).unwrap().command {
        Command::Run(run) => *run,
        _ => panic!("asked for a run"),
    }
}

#[test]
fn options_mean_what_they_say() {
    let run =
        run_args("--value-bytes 10-20 --duration 500ms --zipf 0.99 --rate 1e5 --depth 8 --core 1");
    let workload = run.common.workload.workload();
    assert_eq!(workload.items.sizes, Sizes::parse("10-20").unwrap());
    assert_eq!(workload.popularity, Popularity::Zipf { exponent: 0.99 });
    assert_eq!(run.window.duration, Duration::from_millis(500));
    assert_eq!((run.open.rate, run.common.fleet.depth), (Some(1e5), 8));
    assert_eq!(run.open.arrivals, Spacing::Poisson);
    assert_eq!(run.open.pacing().map(|pacing| pacing.burst), Some(1));
    assert_eq!(run.common.cores(), [1]);
    assert_eq!(run_args("--warmup 0s").window.warmup, Duration::ZERO);
    assert_eq!(run_args("--cores 3,1-2").common.cores(), [1, 2, 3]);
    let prefix = |options| run_args(options).common.workload.stored.items.key_prefix;
    assert_eq!(&prefix(""), b"key:");
    assert_eq!(&prefix("--key-prefix {a}:"), b"{a}:");
}

#[test]
fn what_is_not_said_is_as_the_preset_has_it() {
    let run = run_args("--preset twitter --read-ratio 0.5 --keys 77");
    let workload = run.common.workload.workload();
    assert_eq!(
        (workload.keys, workload.mix.reads, workload.ttl_s),
        (77, 0.5, 3600)
    );
    assert_eq!(workload.items.sizes, Sizes::fixed(799));
    let plain = run_args("").common.workload.workload();
    assert_eq!((plain.keys, plain.mix.reads, plain.ttl_s), (1000, 1.0, 0));
    assert_eq!(plain.items.sizes, Sizes::fixed(64));
}

#[test]
fn goals_are_read_and_shown() {
    let goal = parsers::parse_goal("p99.9<1ms").unwrap();
    assert!((goal.quantile - 0.999).abs() < 1e-12);
    assert_eq!(
        (goal.limit_ns, goal.to_string()),
        (1_000_000, "p99.9<1ms".to_owned())
    );
    assert_eq!(
        parsers::parse_goal("p50<250us").unwrap().to_string(),
        "p50<250µs"
    );
    for wrong in ["99<1ms", "p99", "p101<1ms", "p99<0s", "p99<1", "p99>1ms"] {
        assert!(parsers::parse_goal(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn mistakes_are_told_on_one_line_that_names_the_option() {
    for (options, named) in [
        ("--zipf=-1", "--zipf"),
        ("--zipf nan", "--zipf"),
        ("--zipf 1 --popularity uniform", "--popularity"),
        ("--popularity normal", "--popularity"),
        ("--read-ratio 1.1", "--read-ratio"),
        ("--read-ratio 0.9 --delete-ratio 0.2", "--delete-ratio"),
        ("--value-bytes 20-10", "--value-bytes"),
        ("--value-bytes 999999999", "--value-bytes"),
        ("--key-bytes 13", "--key-bytes"),
        ("--key-bytes 16-251", "--key-bytes"),
        ("--duration 5", "--duration"),
        ("--duration 0s", "--duration"),
        ("--duration 9999999999999999h", "--duration"),
        ("--warmup 1d", "--warmup"),
        ("--warmup=-1s", "--warmup"),
        ("--connections 0", "--connections"),
        ("--connections 1 --cores 0-1", "--connections"),
        ("--cores 2-1", "--cores"),
        ("--cores 1,1", "--cores"),
        ("--cores 0-99999", "--cores"),
        ("--depth 0", "--depth"),
        ("--depth 4096 --value-bytes 1000000", "--depth"),
        ("--keys 4294967296", "--keys"),
        ("--multi-get 24 --keys 23", "--multi-get"),
        ("--multi-get 129", "--multi-get"),
        ("--key-prefix long:", "--key-prefix"),
        ("--preset ycsb-e", "--preset"),
        ("--rate 0", "--rate"),
        ("--arrivals constant", "--rate"),
        ("--burst 2", "--rate"),
        ("--burst 9 --rate 5 --depth 8", "--depth 9"),
        ("--prefill --reply-bytes 5", "--reply-bytes"),
        ("--speed 9", "--speed"),
    ] {
        assert_complains(&format!("{BASE} {options}"), named);
    }
    for (line, named) in [
        ("run --protocol resp", "--target"),
        ("run --target h:1 --protocol http", "--protocol"),
        ("sweep --target h:1 --protocol resp", "--rates"),
        ("sweep --target h:1 --protocol resp --from 5", "--to"),
        ("sweep --target h:1 --protocol resp --rates 5,x", "--rates"),
        (
            "sweep --target h:1 --protocol resp --from 500 --to 100",
            "--from 500 is not below --to 100",
        ),
        ("search --target h:1 --protocol resp --goal p99", "--goal"),
        (
            "search --target h:1 --protocol resp --goal p99<1ms --rate-min 9 --rate-max 5",
            "--rate-min 9 is above --rate-max 5",
        ),
        ("soak --target h:1 --protocol resp --seconds 1", "--seconds"),
        (
            "replay --target h:1 --protocol resp --trace f --speed 0",
            "--speed",
        ),
        (
            "replay --target h:1 --protocol resp --trace f --connections 1 --cores 0-1",
            "--connections leaves some of 2 --cores",
        ),
        ("report", "--html"),
        ("shape --protocol resp --key-bytes 13", "--key-bytes"),
        (
            "load --target h:1 --protocol resp --key-bytes 13",
            "--key-bytes",
        ),
    ] {
        assert_complains(&format!("ringfort-bench {line}"), named);
    }
}

fn assert_complains(line: &str, named: &str) {
    let Err(Stop::Wrong(complaint)) = parsed(line) else {
        panic!("accepted: {line}");
    };
    assert!(!complaint.contains('\n'), "{complaint}");
    assert!(complaint.contains(named), "{line}: {complaint}");
}

#[test]
fn help_is_no_mistake() {
    let help = parsed("ringfort-bench run --help");
    assert!(matches!(help, Err(Stop::Asked(text)) if text.contains("--connections")));
}

#[test]
fn a_number_of_requests_stands_for_a_time() {
    assert_eq!(run_args("").requests, None);
    let run = run_args("--requests 1000 --seed 7");
    assert_eq!(run.requests, Some(1000));
    assert_eq!(run.common.workload.workload().seed, 7);
    for options in ["--duration 1s", "--warmup 1s", "--rate 100"] {
        let Err(Stop::Wrong(said)) = parsed(&format!("{BASE} --requests 1000 {options}")) else {
            panic!("{options} was taken");
        };
        assert!(said.contains("cannot be used with"), "{said}");
    }
}

#[test]
fn an_origin_has_keys_of_possible_lengths_only() {
    let origin = |options: &str| parsed(&format!("ringfort-bench origin {options}"));
    assert!(matches!(
        origin("--key-bytes 16-32 --delay 2ms").unwrap().command,
        Command::Origin(_)
    ));
    let Err(Stop::Wrong(said)) = origin("--key-bytes 3-32") else {
        panic!("keys of three bytes were taken");
    };
    assert!(said.contains("--key-bytes is from 14 to 250"), "{said}");
}

/// The flags that a mode takes, but for `--help`.
fn flags(mode: &str) -> Vec<String> {
    let mut cli = Cli::command();
    cli.build();
    let mode = cli.find_subcommand(mode).unwrap();
    let flags = mode.get_arguments().filter_map(clap::Arg::get_long);
    let flags = flags.filter(|flag| *flag != "help");
    flags.map(str::to_owned).collect()
}

#[test]
fn a_mode_takes_no_flag_that_it_does_not_read() {
    assert_eq!(
        flags("load"),
        [
            "target",
            "protocol",
            "key-prefix",
            "key-bytes",
            "value-bytes",
            "preset",
            "keys",
            "ttl",
            "cores"
        ],
        "requests are not what is loaded"
    );
    assert_eq!(flags("shape"), ["protocol", "key-bytes", "value-bytes"]);
    for (line, flag) in [
        (
            "load --target h:1 --protocol resp --read-ratio 0.5",
            "--read-ratio",
        ),
        ("load --target h:1 --protocol resp --seed 5", "--seed"),
        ("shape --protocol resp --key-prefix {a}:", "--key-prefix"),
        (
            "sweep --target h:1 --protocol resp --rates 5,6 --steps 3",
            "--steps",
        ),
    ] {
        assert_complains(&format!("ringfort-bench {line}"), flag);
    }
}
