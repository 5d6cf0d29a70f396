#include "sim/validate/grades.hpp"
