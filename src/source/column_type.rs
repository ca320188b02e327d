//! What all values of a column are, where the format of the data set says so.

/// The type of a column. Whatever is none of the others is text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Text, and all that is written as text.
    Text,
    /// Whole numbers of 64 bits.
    Integer,
    /// Numbers.
    Number,
    /// True or false.
    Boolean,
}
