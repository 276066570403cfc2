// The CPU kernels, and the schemas of both. Loops over channels or whole rows are written so that the compiler
// vectorises them; the work is divided by rows of the result, so that no value depends on the number of threads.

#include "kernels.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <vector>

namespace loom {
namespace {

constexpr int64_t kGrain = 1 << 14;  // values that are worth a thread

template <typename T>
const T* data_or_null(const MaybeTensor& t) {
  return t ? t->const_data_ptr<T>() : nullptr;
}

// Rows of the walk: a row has `pixels * inner` values of one plane.
template <typename F>
void for_rows(const Layout& l, const F& f) {
  int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, l.w * l.inner));
  at::parallel_for(0, l.planes * l.h, grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) f(r / l.h, r % l.h, r);
  });
}

inline float activated(float v, float limit) {
  v = v > 0.f ? v : v * float(kSlope);
  return std::min(std::max(v, -limit), limit);
}

// y = clamp(leaky_relu(scale x + bias + strength noise)); y may be x.
Tensor& finish_out(const Tensor& x, const MaybeTensor& scale, const Tensor& bias, const MaybeTensor& noise,
                   const Tensor& strength, double clamp, Tensor& out) {
  check_finish(x, scale, bias, noise, strength);
  const Layout l = layout_like(x, {out});
  const float* px = x.const_data_ptr<float>();
  const float *ps = data_or_null<float>(scale), *pb = bias.const_data_ptr<float>(), *pn = data_or_null<float>(noise);
  const float k = *strength.const_data_ptr<float>(), limit = float(clamp);
  float* py = out.mutable_data_ptr<float>();
  const int64_t noise_step = noise && noise->size(0) > 1 ? l.h * l.w : 0;
  for_rows(l, [&](int64_t plane, int64_t row, int64_t r) {
    const int64_t n = l.channels_last ? plane : plane / l.c;
    const float* noise_row = pn ? pn + n * noise_step + row * l.w : nullptr;
    const float* a = px + r * l.w * l.inner;
    float* y = py + r * l.w * l.inner;
    if (l.channels_last) {
      const float* s = ps ? ps + n * l.c : nullptr;
      for (int64_t j = 0; j < l.w; ++j, a += l.c, y += l.c) {
        const float z = noise_row ? k * noise_row[j] : 0.f;
        if (s) {
          _Pragma("GCC ivdep") for (int64_t c = 0; c < l.c; ++c) y[c] = activated(a[c] * s[c] + (pb[c] + z), limit);
        } else {
          _Pragma("GCC ivdep") for (int64_t c = 0; c < l.c; ++c) y[c] = activated(a[c] + (pb[c] + z), limit);
        }
      }
    } else {
      const float s = ps ? ps[plane] : 1.f, b = pb[plane % l.c];
      for (int64_t j = 0; j < l.w; ++j) y[j] = activated(a[j] * s + (b + (noise_row ? k * noise_row[j] : 0.f)), limit);
    }
  });
  return out;
}

// Gradients of `finish` from its output y: of x, scale [N, C], bias [C] and, before its strength, noise [N, 1, H, W].
std::tuple<Tensor, Tensor, Tensor, Tensor> finish_backward(const Tensor& g, const Tensor& y, const Tensor& x,
                                                           const MaybeTensor& scale, double clamp) {
  const Layout l = layout_like(x, {g, y});
  Tensor gx = at::empty_like(x);
  Tensor noise = at::zeros({l.n, 1, l.h, l.w}, x.options().memory_format(at::MemoryFormat::Contiguous));
  const int64_t rows = l.planes * l.h;
  // each row adds up its own sums, and they are joined in order: the result does not depend on the threads
  std::vector<float> sums(2 * rows * l.inner, 0.f);
  const float *pg = g.const_data_ptr<float>(), *py = y.const_data_ptr<float>(), *px = x.const_data_ptr<float>();
  const float *ps = data_or_null<float>(scale), limit = float(clamp);
  float *pgx = gx.mutable_data_ptr<float>(), *pn = noise.mutable_data_ptr<float>();
  auto slope = [limit](float v) {
    return (v > -limit && v < limit) ? (v > 0.f ? 1.f : float(kSlope)) : 0.f;
  };
  auto do_row = [&](int64_t plane, int64_t row, int64_t r) {
    const int64_t at = r * l.w * l.inner, n = l.channels_last ? plane : plane / l.c;
    float *sum_b = sums.data() + 2 * r * l.inner, *sum_s = sum_b + l.inner, *noise_row = pn + (n * l.h + row) * l.w;
    for (int64_t j = 0; j < l.w; ++j) {
      const int64_t o = at + j * l.inner;
      float total = 0.f;
      for (int64_t c = 0; c < l.inner; ++c) {
        const float before = pg[o + c] * slope(py[o + c]);
        const float s = ps ? ps[l.channels_last ? n * l.c + c : plane] : 1.f;
        pgx[o + c] = before * s;
        sum_b[c] += before;
        sum_s[c] += before * px[o + c];
        total += before;
      }
      noise_row[j] += total;
    }
  };
  if (l.channels_last) {
    for_rows(l, do_row);
  } else {  // several planes add to one row of noise: one item at a time
    at::parallel_for(0, l.n, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin * l.c * l.h; r < end * l.c * l.h; ++r) do_row(r / l.h, r % l.h, r);
    });
  }
  Tensor gs = at::zeros({l.n, l.c}, x.options().memory_format(at::MemoryFormat::Contiguous));
  Tensor gb = at::zeros({l.c}, x.options().memory_format(at::MemoryFormat::Contiguous));
  float *pgs = gs.mutable_data_ptr<float>(), *pgb = gb.mutable_data_ptr<float>();
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < l.inner; ++c) {
      const int64_t plane = r / l.h, item = l.channels_last ? plane * l.c + c : plane;
      pgb[item % l.c] += sums[2 * r * l.inner + c];
      pgs[item] += sums[(2 * r + 1) * l.inner + c];
    }
  }
  return {gx, gs, gb, noise};
}

// One axis at a time: the rows under the filter are added up first, then the columns of that sum.
Tensor upfirdn2d(const Tensor& x, at::ArrayRef<double> taps, int64_t up, int64_t down, at::IntArrayRef padding) {
  check_filter(taps, up, down, padding);
  const Layout l = layout_of(x);
  const int64_t k = int64_t(taps.size());
  const int64_t h = filtered_size(l.h, up, down, padding[2], padding[3], k);
  const int64_t w = filtered_size(l.w, up, down, padding[0], padding[1], k);
  Tensor out = at::empty({l.n, l.c, h, w}, x.options().memory_format(format_of(l)));
  Layout to = l;
  to.h = h;
  to.w = w;
  std::vector<float> f(taps.rbegin(), taps.rend());  // out[o] = sum_j f[j] u[o down + j - before], u[i up] = x[i]
  const float* px = x.const_data_ptr<float>();
  float* py = out.mutable_data_ptr<float>();
  const int64_t in_row = l.w * l.inner, out_row = w * l.inner;
  for_rows(to, [&](int64_t plane, int64_t row, int64_t r) {
    static thread_local std::vector<float> sum;
    sum.assign(in_row, 0.f);
    for (int64_t j = 0; j < k; ++j) {
      const int64_t u = row * down + j - padding[2];
      if (u < 0 || u % up || u / up >= l.h) continue;
      const float* a = px + (plane * l.h + u / up) * in_row;
      const float t = f[j];
      _Pragma("GCC ivdep") for (int64_t i = 0; i < in_row; ++i) sum[i] += t * a[i];
    }
    float* y = py + r * out_row;
    std::fill(y, y + out_row, 0.f);
    if (up == 1 && down == 1) {  // a whole row at once
      for (int64_t j = 0; j < k; ++j) {
        const int64_t shift = j - padding[0];  // out[o] takes sum[o + shift]
        const int64_t begin = std::max<int64_t>(0, -shift), end = std::min<int64_t>(w, l.w - shift);
        const float t = f[j];
        const float* a = sum.data() + shift * l.inner;
        _Pragma("GCC ivdep") for (int64_t i = begin * l.inner; i < end * l.inner; ++i) y[i] += t * a[i];
      }
      return;
    }
    for (int64_t o = 0; o < w; ++o, y += l.inner) {
      for (int64_t j = 0; j < k; ++j) {
        const int64_t u = o * down + j - padding[0];
        if (u < 0 || u % up || u / up >= l.w) continue;
        const float* a = sum.data() + (u / up) * l.inner;
        const float t = f[j];
        for (int64_t i = 0; i < l.inner; ++i) y[i] += t * a[i];
      }
    }
  });
  return out;
}

}  // namespace
}  // namespace loom

TORCH_LIBRARY(latent_loom, m) {
  m.def("finish.out(Tensor x, Tensor? scale, Tensor bias, Tensor? noise, Tensor strength, float clamp, *, "
        "Tensor(a!) out) -> Tensor(a!)");
  m.def("finish_backward(Tensor g, Tensor y, Tensor x, Tensor? scale, float clamp) "
        "-> (Tensor, Tensor, Tensor, Tensor)");
  m.def("upfirdn2d(Tensor x, float[] taps, int up, int down, int[] padding) -> Tensor");
}

TORCH_LIBRARY_IMPL(latent_loom, CPU, m) {
  m.impl("finish.out", loom::finish_out);
  m.impl("finish_backward", loom::finish_backward);
  m.impl("upfirdn2d", loom::upfirdn2d);
}
