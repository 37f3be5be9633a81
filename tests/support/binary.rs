//! memcache's binary protocol, byte by byte.

use super::wire::Wire;

/// A reply as it stands in its packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) opcode: u8,
    pub(crate) status: u16,
    pub(crate) cas: u64,
    pub(crate) extras: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// A request without a value.
pub(crate) fn packet(opcode: u8, key: &[u8], extras: &[u8]) -> Vec<u8> {
    packet_with(opcode, key, extras, b"", 0)
}

/// A request.
pub(crate) fn packet_with(
    opcode: u8,
    key: &[u8],
    extras: &[u8],
    value: &[u8],
    cas: u64,
) -> Vec<u8> {
    let body = (extras.len() + key.len() + value.len()) as u32;
    let mut packet = vec![0x80, opcode];
    packet.extend((key.len() as u16).to_be_bytes());
    packet.extend([extras.len() as u8, 0, 0, 0]);
    packet.extend(body.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(cas.to_be_bytes());
    for part in [extras, key, value] {
        packet.extend_from_slice(part);
    }
    packet
}

/// The next reply.
pub(crate) fn reply(wire: &mut Wire) -> Reply {
    let header = wire.bytes(24);
    assert_eq!(header[0], 0x81, "{header:?}");
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte))
    };
    let (key, extras) = (number(&header[2..4]) as usize, header[4].into());
    let body = wire.bytes(number(&header[8..12]) as usize);
    Reply {
        opcode: header[1],
        status: number(&header[6..8]) as u16,
        cas: number(&header[16..24]),
        extras: body[..extras].to_vec(),
        key: body[extras..extras + key].to_vec(),
        value: body[extras + key..].to_vec(),
    }
}
