#include "kernels/check/cases.hpp"

#include <cstdio>

namespace kvsim::kernels {
namespace {

// The content of a cache as one piece per allocation.
std::vector<Memory> allocations(const KvCase& c, const Memory& content) {
  const std::int64_t pieces = c.separate_layers ? c.shape.layers : 1;
  const std::int64_t bytes = c.shape.cache_bytes() / pieces;
  std::vector<Memory> out;
  for (std::int64_t i = 0; i < pieces; ++i) {
    out.emplace_back(content.begin() + i * bytes, content.begin() + (i + 1) * bytes);
  }
  return out;
}

}  // namespace

std::string describe(const KvCase& c) {
  const char* layout = c.layout == KvLayout::kLayerFirst   ? "layer first"
                       : c.layout == KvLayout::kBlockFirst ? "block first"
                                                           : "block in layer";
  char text[200];
  std::snprintf(text, sizeof(text), "%s%s, %lld layers, %lld parts, rows of %lld, tokens %lld+%lld",
                layout, c.separate_layers ? ", separate layers" : "",
                static_cast<long long>(c.shape.layers), static_cast<long long>(c.shape.parts),
                static_cast<long long>(c.shape.row_bytes), static_cast<long long>(c.first_token),
                static_cast<long long>(c.tokens));
  return text;
}

std::vector<KvCase> kv_cases(const std::vector<std::int64_t>& row_bytes, bool large) {
  struct Order {
    KvLayout layout;
    bool separate;
  };
  std::vector<KvCase> out;
  for (const Order order :
       {Order{KvLayout::kLayerFirst, false}, Order{KvLayout::kBlockFirst, false},
        Order{KvLayout::kBlockInLayer, false}, Order{KvLayout::kLayerFirst, true},
        Order{KvLayout::kBlockInLayer, true}}) {
    for (const std::int64_t row : row_bytes) {
      const KvShape small{3, 11, 4, row, 2};
      out.push_back({small, order.layout, order.separate, 0, 4});
      out.push_back({small, order.layout, order.separate, 0, 10});  // ends inside a block
      out.push_back({small, order.layout, order.separate, 3, 6});   // starts inside a block
      out.push_back({small, order.layout, order.separate, 5, 1});
    }
    const KvShape latent{2, 5, 16, 1152, 1};  // MLA: 512 + 64 numbers of bf16
    out.push_back({latent, order.layout, order.separate, 7, 40});
    if (!large) continue;
    const KvShape llama8b{32, 24, 16, 2048, 2};
    out.push_back({llama8b, order.layout, order.separate, 16, 256});
  }
  return out;
}

HostCache::HostCache(const KvCase& c, const Memory& content)
    : layout_(c.layout), parts_(allocations(c, content)) {
  for (Memory& part : parts_) bases_.push_back(part.data());
}

KvCache HostCache::view() const {
  if (bases_.size() == 1) return {layout_, bases_[0], nullptr};
  return {layout_, nullptr, bases_.data()};
}

Memory HostCache::content() const {
  Memory out;
  for (const Memory& part : parts_) out.insert(out.end(), part.begin(), part.end());
  return out;
}

DeviceCache::DeviceCache(const KvCase& c, const Memory& content) : layout_(c.layout) {
  for (const Memory& part : allocations(c, content)) parts_.emplace_back(part);
  for (const auto& part : parts_) bases_.push_back(part.data());
  device_bases_ = std::make_unique<DeviceBuffer<std::byte*>>(bases_);
}

KvCache DeviceCache::view() const {
  if (bases_.size() == 1) return {layout_, bases_[0], nullptr};
  return {layout_, nullptr, device_bases_->data()};
}

KvCache DeviceCache::view_of_host() const {
  if (bases_.size() == 1) return {layout_, bases_[0], nullptr};
  return {layout_, nullptr, bases_.data()};
}

Memory DeviceCache::content() const {
  Memory out;
  for (const auto& part : parts_) {
    const Memory bytes = part.fetch();
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

}  // namespace kvsim::kernels
