//! Events, checked one by one as they come: nothing missing, nothing twice, nothing out of order.
