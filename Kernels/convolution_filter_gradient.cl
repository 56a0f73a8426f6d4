// convolution_filter_gradient.cl
