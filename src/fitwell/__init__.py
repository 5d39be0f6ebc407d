"""fitwell makes neural networks train well: diagnosis, treatment and proof."""
