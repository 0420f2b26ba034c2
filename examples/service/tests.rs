//! What others see of the service.
