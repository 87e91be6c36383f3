//! Records with checksums (TFRecord), and the little of protobuf that event files need.

/// The checksum of one byte: CRC-32C (Castagnoli), reflected.
const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                (value >> 1) ^ 0x82f6_3b78
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8);
    !bytes.iter().fold(u32::MAX, step)
}

/// As records hold it: a checksum over data that hold checksums themselves would be weak.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Appends a record: length, checksum of the length, data, checksum of the data, all little-endian.
pub(super) fn record(out: &mut Vec<u8>, message: &Message) {
    let data = &message.0;
    let length = (data.len() as u64).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&masked(&length).to_le_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(&masked(data).to_le_bytes());
}

/// A protobuf message. Fields are written in the order of the calls, which is that of their numbers, as other writers
/// do.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// `int64`, `int32` and enumerations; 0 is the default and is left out.
    pub(super) fn integer(self, field: u32, value: i64) -> Self {
        if value == 0 {
            return self;
        }
        let mut message = self.key(field, 0);
        message.varint(value as u64);
        message
    }

    /// A member of a `oneof`, which is written whatever its value.
    pub(super) fn boolean(self, field: u32, value: bool) -> Self {
        let mut message = self.key(field, 0);
        message.0.push(u8::from(value));
        message
    }

    /// `double`, written whatever its value.
    pub(super) fn double(self, field: u32, value: f64) -> Self {
        let mut message = self.key(field, 1);
        message.0.extend_from_slice(&value.to_le_bytes());
        message
    }

    /// `float`, written whatever its value.
    pub(super) fn float(self, field: u32, value: f32) -> Self {
        let mut message = self.key(field, 5);
        message.0.extend_from_slice(&value.to_le_bytes());
        message
    }

    /// `string` and `bytes`, written whatever their value.
    pub(super) fn bytes(self, field: u32, value: &[u8]) -> Self {
        let mut message = self.key(field, 2);
        message.varint(value.len() as u64);
        message.0.extend_from_slice(value);
        message
    }

    /// A message inside this one.
    pub(super) fn message(self, field: u32, value: &Message) -> Self {
        self.bytes(field, &value.0)
    }

    /// What was written.
    pub(super) fn content(&self) -> &[u8] {
        &self.0
    }

    fn key(mut self, field: u32, wire_type: u32) -> Self {
        self.varint(u64::from((field << 3) | wire_type));
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        let check = |bytes: &[u8], plain: u32, as_stored: u32| {
            assert_eq!((crc32c(bytes), masked(bytes)), (plain, as_stored), "{bytes:?}");
        };
        // RFC 3720, B.4, and TensorBoard's own functions.
        check(b"", 0, 0xa282_ead8);
        check(b"a", 0xc1d0_4330, 0x28e4_6e78);
        check(b"123456789", 0xe306_9283, 0xc78a_b0e5);
        check(&[0; 32], 0x8a91_36aa, 0x0fd7_fffa);
        check(&[0xff; 32], 0x62a8_ab43, 0xf909_b029);
        check(&(0..32).collect::<Vec<u8>>(), 0x46dd_794e, 0x951f_7892);
    }

    #[test]
    fn fields_are_written_as_protobuf_says() {
        let check = |message: Message, expected: &[u8]| assert_eq!(message.content(), expected);
        check(Message::default().integer(1, 150), &[0x08, 0x96, 0x01]);
        check(Message::default().integer(1, 0), &[]);
        check(
            Message::default().integer(1, -1),
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        );
        check(Message::default().boolean(4, false), &[0x20, 0]);
        check(Message::default().bytes(2, b"testing"), b"\x12\x07testing");
        check(Message::default().bytes(16, b""), &[0x82, 0x01, 0]);
        check(Message::default().float(2, 1.0), &[0x15, 0, 0, 0x80, 0x3f]);
        check(Message::default().double(1, 1.0), &[0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        check(
            Message::default().message(3, &Message::default().integer(1, 150)),
            &[0x1a, 0x03, 0x08, 0x96, 0x01],
        );
    }
}
