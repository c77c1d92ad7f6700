//! Wall-clock time as text, in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, split as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the parts of a date")]
pub struct Moment {
    pub year: i64,
    pub month: u64,
    pub day: u64,
    pub hour: u64,
    pub minute: u64,
    pub second: u64,
    pub nanosecond: u32,
}

/// Now.
#[must_use]
pub fn now() -> Moment {
    split(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

/// The moment this long after 1970 began.
#[must_use]
pub fn split(since_1970: Duration) -> Moment {
    let seconds = since_1970.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a date by eras of 400 years that begin in March, so that a leap day ends its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    Moment {
        year: i64::try_from(year).unwrap_or(i64::MAX),
        month,
        day: day_of_year - (153 * march_month + 2) / 5 + 1,
        hour: rest / 3600,
        minute: rest / 60 % 60,
        second: rest % 60,
        nanosecond: since_1970.subsec_nanos(),
    }
}

impl Moment {
    /// RFC 3339 with nanoseconds.
    #[must_use]
    pub fn rfc3339(&self) -> String {
        let Moment {
            year,
            month,
            day,
            hour,
            minute,
            second,
            nanosecond,
        } = self;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanosecond:09}Z")
    }

    /// `yyyymmdd-hhmmss.uuuuuu`, as in the names of debug logs.
    #[must_use]
    pub fn compact(&self) -> String {
        let Moment {
            year,
            month,
            day,
            hour,
            minute,
            second,
            nanosecond,
        } = self;
        let micro = nanosecond / 1000;
        format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}.{micro:06}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::split;

    #[test]
    fn dates_agree_with_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000000Z"),
            (1_732_363_578, "2024-11-23T12:06:18.000000000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000000Z"),
        ] {
            assert_eq!(split(Duration::from_secs(seconds)).rfc3339(), text);
        }
    }
}
