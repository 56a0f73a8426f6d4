// elementwise.cl
