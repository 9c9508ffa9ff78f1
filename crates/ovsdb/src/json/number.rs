//! Numbers: OVSDB tells integers from reals by value, not by notation (`1.0` and `10e-1` are the
//! integer 1), and prints reals with 15 significant digits.

/// A JSON number as OVSDB takes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Every number that is exactly a 64-bit integer.
    Integer(i64),
    /// Every other number; finite, and never a negative zero.
    Real(f64),
}

const OUT_OF_RANGE: &str = "number outside valid range";
const BAD_EXPONENT: &str = "exponent outside valid range";

/// A decimal number as significand times a power of ten.
struct Decimal {
    negative: bool,
    significand: u64,
    exponent: i64,
    /// Digits other than zero did not fit into the significand.
    imprecise: bool,
}

/// Parses a number, whose text must be all of `text` (RFC 8259 section 6).
pub(super) fn parse(text: &[u8]) -> Result<Number, &'static str> {
    if let Some(integer) = parse_short_integer(text) {
        return Ok(Number::Integer(integer));
    }
    let decimal = parse_decimal(text)?;
    if decimal.significand == 0 {
        return Ok(Number::Integer(0));
    }
    if let Some(integer) = exact_integer(&decimal) {
        return Ok(Number::Integer(integer));
    }
    let text = std::str::from_utf8(text).map_err(|_| OUT_OF_RANGE)?;
    let real: f64 = text.parse().map_err(|_| OUT_OF_RANGE)?;
    if real.is_infinite() || real.is_subnormal() {
        return Err(OUT_OF_RANGE);
    }
    // Adding zero turns -0.0 into 0.0.
    Ok(Number::Real(real + 0.0))
}

/// The usual case: up to 18 digits, no leading zero.
fn parse_short_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 || (digits[0] == b'0' && digits.len() > 1) {
        return None;
    }
    let mut value = 0i64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    Some(if negative { -value } else { value })
}

fn parse_decimal(text: &[u8]) -> Result<Decimal, &'static str> {
    let mut decimal = Decimal {
        negative: false,
        significand: 0,
        exponent: 0,
        imprecise: false,
    };
    let mut rest = text;
    if let [b'-', tail @ ..] = rest {
        decimal.negative = true;
        rest = tail;
    }
    let (integer, tail) = split_digits(rest);
    match integer {
        [] => return Err("'-' must be followed by digit"),
        [b'0', _, ..] => return Err("leading zeros not allowed"),
        _ => {}
    }
    for &digit in integer {
        if !decimal.add(digit) {
            decimal.exponent += 1;
        }
    }
    rest = tail;
    if let [b'.', tail @ ..] = rest {
        let (fraction, tail) = split_digits(tail);
        if fraction.is_empty() {
            return Err("decimal point must be followed by digit");
        }
        for &digit in fraction {
            if decimal.add(digit) {
                decimal.exponent -= 1;
            }
        }
        rest = tail;
    }
    if let [b'e' | b'E', tail @ ..] = rest {
        let (negative, tail) = match tail {
            [b'+', tail @ ..] => (false, tail),
            [b'-', tail @ ..] => (true, tail),
            tail => (false, tail),
        };
        let (digits, tail) = split_digits(tail);
        if digits.is_empty() {
            return Err("exponent must contain at least one digit");
        }
        let mut exponent = 0i64;
        for &digit in digits {
            if exponent >= i64::from(i32::MAX) / 10 {
                return Err(BAD_EXPONENT);
            }
            exponent = exponent * 10 + i64::from(digit - b'0');
        }
        decimal.exponent += if negative { -exponent } else { exponent };
        rest = tail;
    }
    if !rest.is_empty() {
        return Err("syntax error in number");
    }
    Ok(decimal)
}

impl Decimal {
    /// Appends a digit to the significand; false if there is no more room for it.
    fn add(&mut self, digit: u8) -> bool {
        let digit = u64::from(digit - b'0');
        if self.significand < u64::MAX / 10 {
            self.significand = self.significand * 10 + digit;
            return true;
        }
        self.imprecise |= digit != 0;
        false
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().take_while(|b| b.is_ascii_digit()).count();
    text.split_at(end)
}

fn exact_integer(decimal: &Decimal) -> Option<i64> {
    if decimal.imprecise || decimal.exponent.abs() > 40 {
        return None;
    }
    let mut value = i128::from(decimal.significand);
    let mut exponent = decimal.exponent;
    while exponent > 0 && value < i128::from(u64::MAX) {
        value *= 10;
        exponent -= 1;
    }
    while exponent < 0 && value % 10 == 0 {
        value /= 10;
        exponent += 1;
    }
    if exponent != 0 {
        return None;
    }
    i64::try_from(if decimal.negative { -value } else { value }).ok()
}

/// A real as OVSDB prints it: like C's `%.15g`.
pub fn format_real(value: f64) -> String {
    format_general(value, 15)
}

/// A real with as many digits as it takes to read the same value back; those of [`format_real`]
/// if they do.
pub fn format_real_exactly(value: f64) -> String {
    let short = format_real(value);
    match short.parse::<f64>() {
        Ok(back) if back == value => short,
        _ => format_general(value, 17),
    }
}

/// Like C's `%.{digits}g`.
fn format_general(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if !value.is_finite() {
        // Mutations keep reals finite, and so does the parser.
        return if value > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{:.*e}", digits - 1, value);
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!(
            "{}e{sign}{:02}",
            without_trailing_zeros(mantissa),
            exponent.abs()
        );
    }
    let decimals = (digits as i32 - 1 - exponent) as usize;
    without_trailing_zeros(&format!("{value:.decimals$}")).into()
}

fn without_trailing_zeros(text: &str) -> &str {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_are_told_by_value() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0e5", 0),
            ("1.0", 1),
            ("10e-1", 1),
            ("1e3", 1000),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("922337203685477580700e-2", i64::MAX),
            ("1.50e1", 15),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(Number::Integer(value)), "{text}");
        }
    }

    #[test]
    fn other_numbers_are_reals() {
        for (text, value) in [
            ("1.5", 1.5),
            ("9223372036854775808", 9223372036854775808.0),
            ("1e30", 1e30),
            ("-2.5e-3", -2.5e-3),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(Number::Real(value)), "{text}");
        }
    }

    #[test]
    fn wrong_numbers_are_refused() {
        for text in [
            "-",
            "01",
            "1.",
            "1e",
            "1e+",
            "--1",
            "1-2",
            "1e400",
            "-1e400",
            "1e-310",
            "1e99999999999",
            "1.2.3",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn reals_print_like_c() {
        for (value, text) in [
            (0.1 + 0.2, "0.3"),
            (1.0, "1"),
            (100000.0, "100000"),
            (1e15, "1e+15"),
            (123456789012345680.0, "1.23456789012346e+17"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (-2.5, "-2.5"),
            (f64::MAX, "1.79769313486232e+308"),
        ] {
            assert_eq!(format_real(value), text);
        }
        assert_eq!(format_real_exactly(0.1 + 0.2), "0.30000000000000004");
        assert_eq!(format_real_exactly(0.5), "0.5");
    }

    proptest! {
        #[test]
        fn exact_printing_reads_back(value in proptest::num::f64::NORMAL) {
            prop_assert_eq!(format_real_exactly(value).parse::<f64>(), Ok(value));
        }

        #[test]
        fn integers_read_back(value: i64) {
            prop_assert_eq!(parse(value.to_string().as_bytes()), Ok(Number::Integer(value)));
        }
    }
}
