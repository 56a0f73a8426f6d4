// vector.h
