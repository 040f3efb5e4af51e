//! The two forms of a request's values: `instances`, a list of rows, and `inputs`, each
//! input's values at once.

use bytes::Bytes;
use smallvec::SmallVec;
use tensor::{DType, Tensor};

use super::column::{Column, Sizes, is_base64, print};
use super::quoted::Quoted;
use super::refusal::{Refusal, excerpt, invalid};
use super::scanner::Scanner;

/// Each input's name and element type.
pub(super) type Inputs<'a> = [(&'a str, DType)];

/// Reads `instances`, whose list is next: one tensor for each input, with one row for
/// each entry.
pub(super) fn read_rows<'a>(
    body: &'a Bytes,
    scanner: &mut Scanner<'a>,
    inputs: &Inputs<'a>,
) -> Result<Vec<Tensor>, Refusal> {
    scanner.eat(b'[');
    let is_named = is_object(scanner);
    if !is_named && inputs.len() > 1 {
        return Err(invalid(
            "instances is a plain list, but expecting list of objects as multiple input \
             tensors required as per tensorinfo_map",
        ));
    }
    let mut rows = Rows {
        body,
        columns: inputs
            .iter()
            .map(|(alias, dtype)| RowColumn::new(body, alias, *dtype))
            .collect(),
        order: SmallVec::new(),
        row: 0,
    };
    loop {
        if is_named {
            rows.named(scanner)?;
        } else {
            rows.plain(scanner)?;
        }
        rows.row += 1;
        if !scanner.list_goes_on()? {
            return rows.tensors();
        }
    }
}

/// Reads `inputs`, whose value is next: one tensor for each input.
pub(super) fn read_columns<'a>(
    body: &'a Bytes,
    scanner: &mut Scanner<'a>,
    inputs: &Inputs<'a>,
) -> Result<Vec<Tensor>, Refusal> {
    if !is_object(scanner) {
        let [(alias, dtype)] = inputs else {
            if inputs.is_empty() {
                return Err(no_inputs());
            }
            return Err(invalid(
                "inputs is a plain value/list, but expecting an object as multiple input \
                 tensors required as per tensorinfo_map",
            ));
        };
        return Ok(vec![read_whole((body, alias, *dtype), scanner)?]);
    }
    let mut tensors: SmallVec<[Option<Tensor>; 4]> = inputs.iter().map(|_| None).collect();
    scanner.eat(b'{');
    if !scanner.eat(b'}') {
        loop {
            let name = scanner.name()?;
            match inputs.iter().position(|(alias, _)| name.is(alias)) {
                // Of two of a name the first counts.
                Some(at) if tensors[at].is_none() => {
                    let (alias, dtype) = inputs[at];
                    tensors[at] = Some(read_whole((body, alias, dtype), scanner)?);
                }
                _ => scanner.skip()?,
            }
            if !scanner.object_goes_on()? {
                break;
            }
        }
    }
    let named = inputs.iter().zip(tensors);
    named
        .map(|((alias, _), tensor)| {
            tensor
                .ok_or_else(|| invalid(format!("Missing named input: {alias} in 'inputs' object.")))
        })
        .collect()
}

fn read_whole<'a>(
    (body, alias, dtype): (&'a Bytes, &'a str, DType),
    scanner: &mut Scanner<'a>,
) -> Result<Tensor, Refusal> {
    let mut column = Column::new(body, alias, dtype);
    column.read(scanner)?;
    let sizes = std::mem::take(&mut column.sizes);
    column.tensor(&sizes)
}

fn no_inputs() -> Refusal {
    invalid("the signature takes no inputs")
}

/// Whether an object is next that is not bytes in base64.
fn is_object(scanner: &mut Scanner<'_>) -> bool {
    scanner.peek() == b'{' && !is_base64(*scanner)
}

struct Rows<'a> {
    body: &'a Bytes,
    columns: SmallVec<[RowColumn<'a>; 4]>,
    /// The columns of the last row's keys, in its order.
    order: SmallVec<[usize; 4]>,
    /// The number of the one that is being read.
    row: usize,
}

/// A column whose values are rows of one shape.
struct RowColumn<'a> {
    column: Column<'a>,
    /// Sizes and elements of the first row.
    first: Option<(Sizes, usize)>,
    rows: usize,
}

impl<'a> Rows<'a> {
    /// A row that is the value of the only input.
    #[inline]
    fn plain(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Refusal> {
        if is_object(scanner) {
            return Err(invalid(format!(
                "Expecting value/list but got object at item {} of input list",
                self.row
            )));
        }
        let Some(column) = self.columns.first_mut() else {
            return Err(no_inputs());
        };
        column.read_row(scanner).map_err(|refusal| {
            invalid(format!(
                "Failed to process element: {} of 'instances' list. Error: {}",
                self.row,
                refusal.with_code()
            ))
        })
    }

    /// A row that is an object of all inputs.
    fn named(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Refusal> {
        if !is_object(scanner) {
            return Err(invalid(format!(
                "Expecting object but got list at item {} of input list",
                self.row
            )));
        }
        let row = *scanner;
        scanner.eat(b'{');
        if !scanner.eat(b'}') {
            for key in 0.. {
                let name = scanner.name()?;
                self.member((key, name), scanner).map_err(|refusal| {
                    invalid(format!(
                        "Failed to process element: {} key: {} of 'instances' list. Error: {}",
                        self.row,
                        name.lossy(),
                        refusal.with_code()
                    ))
                })?;
                if !scanner.object_goes_on()? {
                    break;
                }
            }
        }
        let has_row = |column: &RowColumn<'_>| column.rows == self.row + 1;
        if self.columns.iter().all(has_row) {
            return Ok(());
        }
        let aliases: Vec<&str> = self.columns.iter().map(|it| it.column.alias).collect();
        Err(invalid(format!(
            "Failed to process element: {} of 'instances' list. JSON object: {} keys must be \
             equal to: {}",
            self.row,
            excerpt(self.body, row),
            aliases.join(",")
        )))
    }

    /// A row's key, which is its so many-th, and the value.
    fn member(
        &mut self,
        (key, name): (usize, Quoted<'_>),
        scanner: &mut Scanner<'a>,
    ) -> Result<(), Refusal> {
        let Some(at) = self.find(key, name) else {
            return Err(invalid(format!(
                "JSON object: does not have named input: {}",
                name.lossy()
            )));
        };
        let column = &mut self.columns[at];
        if column.rows > self.row {
            return Err(invalid("the key is given twice"));
        }
        column.read_row(scanner)
    }

    /// Which column a row's key is. Rows have their keys in one order, mostly: it is looked
    /// for first where the last row had it, so that a row of many inputs does not compare
    /// each key with each of them.
    #[inline]
    fn find(&mut self, key: usize, name: Quoted<'_>) -> Option<usize> {
        let is = |at: &usize| name.is(self.columns[*at].column.alias);
        if let Some(at) = self.order.get(key).copied().filter(is) {
            return Some(at);
        }
        let at = (0..self.columns.len()).find(is)?;
        match self.order.get_mut(key) {
            Some(known) => *known = at,
            None => self.order.push(at),
        }
        Some(at)
    }

    fn tensors(self) -> Result<Vec<Tensor>, Refusal> {
        let columns = self.columns.into_iter();
        columns.map(|column| column.tensor(self.row)).collect()
    }
}

impl<'a> RowColumn<'a> {
    fn new(body: &'a Bytes, alias: &'a str, dtype: DType) -> Self {
        Self {
            column: Column::new(body, alias, dtype),
            first: None,
            rows: 0,
        }
    }

    #[inline]
    fn read_row(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Refusal> {
        let before = self.column.elements();
        self.column.read(scanner)?;
        self.rows += 1;
        let elements = self.column.elements() - before;
        let sizes = &self.column.sizes;
        match &self.first {
            None => self.first = Some((sizes.clone(), elements)),
            Some((_, wanted)) if *wanted != elements => {
                return Err(invalid(format!(
                    "Expecting tensor size: {wanted} but got: {elements}"
                )));
            }
            Some((wanted, _)) if wanted != sizes => {
                return Err(invalid(format!(
                    "Expecting shape {} but got: {}",
                    print(wanted),
                    print(sizes)
                )));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn tensor(self, rows: usize) -> Result<Tensor, Refusal> {
        let mut dims = Sizes::from_slice(&[rows]);
        dims.extend(self.first.into_iter().flat_map(|(sizes, _)| sizes));
        self.column.tensor(&dims)
    }
}
