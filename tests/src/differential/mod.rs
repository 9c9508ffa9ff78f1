//! Two servers side by side: the same requests must give the same answers.
