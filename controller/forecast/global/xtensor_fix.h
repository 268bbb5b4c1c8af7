#pragma once

/// Include before any xtensor header, and only in .cpp files. Under C++20, xtensor 0.24.3 takes the template
/// xtype_for_shape<S<X, N>> (meant for std::array) for a shape of dynamic rank: svector's second parameter is a
/// number too, so the result gets the rank 4. A full specialisation wins over both; matrix_test.cpp asserts the rank.

#include <cstddef>
#include <xtensor/xexpression_traits.hpp>
#include <xtensor/xtensor_forward.hpp>

#if defined(__GNUC__) && !defined(__clang__)
namespace xt::detail {

template <>
struct xtype_for_shape<dynamic_shape<std::size_t>> {
  template <class T, layout_type L>
  using type = xarray<T, L>;
};

template <>
struct xtype_for_shape<dynamic_shape<std::ptrdiff_t>> {
  template <class T, layout_type L>
  using type = xarray<T, L>;
};

}  // namespace xt::detail
#endif
