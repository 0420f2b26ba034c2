//! Open-loop load: things happen when they are due, whoever is late.
