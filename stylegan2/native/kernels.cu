// The CUDA kernels: one thread for each value of the result, in float32, half precision and bfloat16.

#include "kernels.h"

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>

namespace loom {
namespace {

constexpr int kThreads = 256;

inline int blocks_for(int64_t count) {
  return int(std::min<int64_t>((count + kThreads - 1) / kThreads, 65535));
}

// Channel, pixel and item of value i of a walk.
struct Place {
  int64_t n, c, pixel;
};

__device__ inline Place place_of(int64_t i, const Layout& l) {
  const int64_t pixels = l.h * l.w;
  if (l.channels_last) return {i / (l.c * pixels), i % l.c, i / l.c % pixels};
  return {i / (l.c * pixels), i / pixels % l.c, i % pixels};
}

template <typename T>
__global__ void finish_kernel(int64_t count, Layout l, const T* x, const T* scale, const T* bias, const T* noise,
                              bool shared_noise, const T* strength, float limit, T* out) {
  const float k = float(*strength);
  for (int64_t i = blockIdx.x * int64_t(blockDim.x) + threadIdx.x; i < count; i += int64_t(gridDim.x) * blockDim.x) {
    const Place at = place_of(i, l);
    float v = float(x[i]) * (scale ? float(scale[at.n * l.c + at.c]) : 1.f) + float(bias[at.c]);
    if (noise) v += k * float(noise[(shared_noise ? 0 : at.n) * l.h * l.w + at.pixel]);
    v = v > 0.f ? v : v * float(kSlope);
    out[i] = T(fminf(fmaxf(v, -limit), limit));
  }
}

template <typename T>
__global__ void slope_kernel(int64_t count, const T* g, const T* y, float limit, T* out) {
  for (int64_t i = blockIdx.x * int64_t(blockDim.x) + threadIdx.x; i < count; i += int64_t(gridDim.x) * blockDim.x) {
    const float v = float(y[i]);
    const float slope = (v > -limit && v < limit) ? (v > 0.f ? 1.f : float(kSlope)) : 0.f;
    out[i] = T(float(g[i]) * slope);
  }
}

struct Filter {
  float taps[kMaxTaps];
  int count, up, down, before_x, before_y;
};

// A layout's sides in 32 bits: a division takes a GPU several times as long in 64.
struct Sides {
  int h, w, inner;
};

// Along one axis, the first tap that meets a sample of x and not one of the zeros between and before them.
struct Meeting {
  int tap, sample;
};

__device__ inline Meeting first_meeting(int start, int up) {
  const int tap = start < 0 ? -start : (up - start % up) % up;
  return {tap, (start + tap) / up};
}

template <typename T, typename Index>
__global__ void upfirdn_kernel(Index count, Sides from, Sides to, Filter f, const T* x, T* out) {
  for (Index i = blockIdx.x * Index(blockDim.x) + threadIdx.x; i < count; i += Index(gridDim.x) * blockDim.x) {
    Index rest = i / to.inner;
    const int inner = int(i % to.inner), ox = int(rest % to.w);
    rest /= to.w;
    const int oy = int(rest % to.h);
    const Meeting row = first_meeting(oy * f.down - f.before_y, f.up);
    const Meeting column = first_meeting(ox * f.down - f.before_x, f.up);
    const T* plane = x + rest / to.h * from.h * from.w * from.inner + inner;
    float total = 0.f;
    for (int a = row.tap, y = row.sample; a < f.count && y < from.h; a += f.up, ++y) {
      const T* line = plane + Index(y) * from.w * from.inner;
      float sum = 0.f;
      for (int b = column.tap, at = column.sample; b < f.count && at < from.w; b += f.up, ++at)
        sum += f.taps[b] * float(line[Index(at) * from.inner]);
      total += f.taps[a] * sum;
    }
    out[i] = T(total);
  }
}

inline Sides sides_of(const Layout& l) {
  return {int(l.h), int(l.w), int(l.inner)};
}

template <typename T>
const T* data_or_null(const MaybeTensor& t) {
  return t ? t->const_data_ptr<T>() : nullptr;
}

Tensor& finish_out(const Tensor& x, const MaybeTensor& scale, const Tensor& bias, const MaybeTensor& noise,
                   const Tensor& strength, double clamp, Tensor& out) {
  check_finish(x, scale, bias, noise, strength);
  const Layout l = layout_like(x, {out});
  if (x.numel() == 0) return out;
  const c10::cuda::CUDAGuard guard(x.device());
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, x.scalar_type(), "finish", [&] {
    finish_kernel<scalar_t><<<blocks_for(x.numel()), kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
        x.numel(), l, x.const_data_ptr<scalar_t>(), data_or_null<scalar_t>(scale), bias.const_data_ptr<scalar_t>(),
        data_or_null<scalar_t>(noise), noise && noise->size(0) == 1, strength.const_data_ptr<scalar_t>(), float(clamp),
        out.mutable_data_ptr<scalar_t>());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

std::tuple<Tensor, Tensor, Tensor, Tensor> finish_backward(const Tensor& g, const Tensor& y, const Tensor& x,
                                                           const MaybeTensor& scale, double clamp) {
  layout_like(x, {g, y});
  Tensor before = at::empty_like(x);
  const c10::cuda::CUDAGuard guard(x.device());
  if (x.numel() > 0) {
    AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, x.scalar_type(), "finish_backward", [&] {
      slope_kernel<scalar_t><<<blocks_for(x.numel()), kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
          x.numel(), g.const_data_ptr<scalar_t>(), y.const_data_ptr<scalar_t>(), float(clamp),
          before.mutable_data_ptr<scalar_t>());
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }
  Tensor gs = at::mul(before, x).sum(at::IntArrayRef{2, 3}), gb = before.sum(at::IntArrayRef{0, 2, 3});
  Tensor noise = before.sum(at::IntArrayRef{1}, /*keepdim=*/true).contiguous();
  return {scale ? at::mul(before, scale->unsqueeze(2).unsqueeze(3)) : before, gs, gb, noise};
}

Tensor upfirdn2d(const Tensor& x, at::ArrayRef<double> taps, int64_t up, int64_t down, at::IntArrayRef padding) {
  check_filter(taps, up, down, padding);
  const Layout from = layout_of(x);
  Filter f{{}, int(taps.size()), int(up), int(down), int(padding[0]), int(padding[2])};
  for (int i = 0; i < f.count; ++i) f.taps[i] = float(taps[f.count - 1 - i]);
  Layout to = from;
  to.h = filtered_size(from.h, up, down, padding[2], padding[3], f.count);
  to.w = filtered_size(from.w, up, down, padding[0], padding[1], f.count);
  Tensor out = at::empty({from.n, from.c, to.h, to.w}, x.options().memory_format(format_of(from)));
  if (out.numel() == 0) return out;
  const c10::cuda::CUDAGuard guard(x.device());
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, x.scalar_type(), "upfirdn2d", [&] {
    const auto launch = [&](auto count) {
      upfirdn_kernel<scalar_t><<<blocks_for(out.numel()), kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
          count, sides_of(from), sides_of(to), f, x.const_data_ptr<scalar_t>(), out.mutable_data_ptr<scalar_t>());
    };
    // a walk's last step goes beyond the count, and must not overflow
    if (std::max(x.numel(), out.numel()) < int64_t(1) << 30) launch(int(out.numel()));
    else launch(out.numel());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

}  // namespace
}  // namespace loom

TORCH_LIBRARY_IMPL(latent_loom, CUDA, m) {
  m.impl("finish.out", loom::finish_out);
  m.impl("finish_backward", loom::finish_backward);
  m.impl("upfirdn2d", loom::upfirdn2d);
}
