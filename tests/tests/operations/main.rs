//! docs/operations.md, typed on containers of the image. A test sets the scene, follows sections, and looks
//! at what has become of the data; what is typed is in the document alone.

mod disasters;
mod everyday;
mod moves;
mod sections;
mod tls;
