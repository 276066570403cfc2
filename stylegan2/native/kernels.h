// What the CPU and the CUDA kernels share: the shape of their arguments, checked once.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <initializer_list>
#include <optional>
#include <tuple>

namespace loom {

constexpr double kSlope = 0.2;
constexpr int kMaxTaps = 32;

using at::Tensor;
using MaybeTensor = std::optional<Tensor>;

// The layout in which a tensor [N, C, H, W] is walked: `planes` pictures of H x W pixels, `inner` values at each.
// Channels-last is N planes of C values, contiguous N * C planes of one.
struct Layout {
  bool channels_last;
  int64_t n, c, h, w, planes, inner;
};

// A tensor of one channel is both; it is walked as channels-last only where that is all it is.
inline Layout layout_of(const Tensor& x) {
  TORCH_CHECK(x.dim() == 4, "expected [N, C, H, W], not ", x.dim(), " dimensions");
  bool last = !x.is_contiguous() && x.is_contiguous(at::MemoryFormat::ChannelsLast);
  TORCH_CHECK(last || x.is_contiguous(), "expected a contiguous or channels-last tensor");
  int64_t n = x.size(0), c = x.size(1);
  return {last, n, c, x.size(2), x.size(3), last ? n : n * c, last ? c : 1};
}

// The layout of x, which the others must share.
inline Layout layout_like(const Tensor& x, std::initializer_list<Tensor> others) {
  const Layout l = layout_of(x);
  for (const Tensor& t : others)
    TORCH_CHECK(t.sizes() == x.sizes() && layout_of(t).channels_last == l.channels_last &&
                t.scalar_type() == x.scalar_type(), "expected a tensor like x");
  return l;
}

inline at::MemoryFormat format_of(const Layout& l) {
  return l.channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
}

// Up-sampling by `up`, padding (negative = cropping), a filter of `taps` along one axis, keeping each `down`-th sample.
inline int64_t filtered_size(int64_t size, int64_t up, int64_t down, int64_t before, int64_t after, int64_t taps) {
  int64_t full = size * up + before + after - taps + 1;
  TORCH_CHECK(full >= 1, "the filter is longer than the padded signal");
  return (full + down - 1) / down;
}

inline void check_filter(at::ArrayRef<double> taps, int64_t up, int64_t down, at::IntArrayRef padding) {
  TORCH_CHECK(!taps.empty() && taps.size() <= kMaxTaps, "expected 1 to ", kMaxTaps, " taps");
  TORCH_CHECK(up >= 1 && down >= 1 && padding.size() == 4, "expected up, down >= 1 and four paddings");
}

inline void check_finish(
    const Tensor& x, const MaybeTensor& scale, const Tensor& bias, const MaybeTensor& noise, const Tensor& strength) {
  int64_t n = x.size(0), c = x.size(1);
  TORCH_CHECK(bias.dim() == 1 && bias.size(0) == c && bias.is_contiguous(), "expected a bias of [C]");
  TORCH_CHECK(strength.numel() == 1, "expected one strength");
  if (scale) TORCH_CHECK(scale->dim() == 2 && scale->size(0) == n && scale->size(1) == c && scale->is_contiguous(),
                         "expected a scale of [N, C]");
  if (noise) TORCH_CHECK(noise->dim() == 4 && (noise->size(0) == n || noise->size(0) == 1) && noise->size(1) == 1 &&
                         noise->size(2) == x.size(2) && noise->size(3) == x.size(3) && noise->is_contiguous(),
                         "expected noise of [N or 1, 1, H, W]");
}

}  // namespace loom
