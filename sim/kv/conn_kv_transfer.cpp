#include "sim/kv/conn_kv_transfer.hpp"

#include <fmt/format.h>

#include "sim/base/check.hpp"
#include "sim/des/shared_server.hpp"
#include "sim/kv/conn_remote_prefill.hpp"

namespace kvsim {

struct KvTransferHub::Replica {
  Place place;
  RemotePrefillConnector* connector = nullptr;
  std::unique_ptr<SharedServer> gpu_link;  // out of its GPUs; null = costs nothing
};

KvTransferHub::KvTransferHub(Tasks& tasks, Fabric& fabric, const KvTransferOptions& options,
                             bool rdma)
    : tasks_(tasks),
      fabric_(fabric),
      options_(options),
      rdma_(options.protocol.empty() ? rdma : options.protocol == "rdma") {}

KvTransferHub::~KvTransferHub() = default;

std::unique_ptr<Connector> KvTransferHub::connect(std::int32_t replica,
                                                  std::unique_ptr<Connector> inner,
                                                  const Connector::Context& context,
                                                  const Place& place) {
  auto connector =
      std::make_unique<RemotePrefillConnector>(*this, replica, std::move(inner), context);
  const auto index = static_cast<std::size_t>(replica);
  if (replicas_.size() <= index) replicas_.resize(index + 1);
  KV_CHECK(replicas_[index] == nullptr, "replica {} connected twice", replica);
  replicas_[index] = std::make_unique<Replica>(Replica{place, connector.get(), nullptr});
  if (place.gpu_link > Bandwidth(0))
    replicas_[index]->gpu_link = std::make_unique<SharedServer>(
        tasks_, context.name + ".gpu-link", "gpu-link", place.gpu_link.count() * context.ranks);
  return connector;
}

void KvTransferHub::open() {
  const std::size_t count = replicas_.size();
  ways_.assign(count * count, -1);
  for (std::size_t from = 0; from < count; ++from) {
    if (replicas_[from] == nullptr || !replicas_[from]->place.prefill) continue;
    for (std::size_t to = 0; to < count; ++to) {
      if (from == to || replicas_[to] == nullptr || !replicas_[to]->place.decode) continue;
      const Replica& reader = *replicas_[to];
      const std::string why = reader.connector->mismatch(*replicas_[from]->connector);
      if (!why.empty()) throw ConfigError("pools for prefill and decode: " + why);
      ways_[from * count + to] = fabric_.way(replicas_[from]->place.end, reader.place.end);
    }
  }
}

const KvTransferHub::Replica& KvTransferHub::at(std::int32_t replica) const {
  const auto index = static_cast<std::size_t>(replica);
  KV_CHECK(index < replicas_.size() && replicas_[index] != nullptr, "replica {}", replica);
  return *replicas_[index];
}

RemotePrefillConnector* KvTransferHub::replica(std::int32_t replica) const {
  return at(replica).connector;
}

Fabric::WayId KvTransferHub::way(std::int32_t prefill, std::int32_t decode) const {
  const Fabric::WayId way = ways_.at(static_cast<std::size_t>(prefill) * replicas_.size() +
                                     static_cast<std::size_t>(decode));
  KV_CHECK(way >= 0, "no way from replica {} to {}", prefill, decode);
  return way;
}

std::int64_t KvTransferHub::streams() const { return rdma_ ? Fabric::kLineRate : options_.streams; }

void KvTransferHub::expect(std::int32_t replica, std::int64_t number) {
  at(replica).connector->expect(number);
}

void KvTransferHub::cancel(std::int32_t replica, std::int64_t number) {
  at(replica).connector->cancel(number);
}

bool KvTransferHub::holds(std::int32_t replica, std::int64_t number) const {
  return at(replica).connector->held(number) != nullptr;
}

void KvTransferHub::tell_askers() {
  for (const auto& replica : replicas_)
    if (replica != nullptr) replica->connector->may_know();
}

std::vector<ResourceUse> KvTransferHub::resources() const {
  std::vector<ResourceUse> out;
  for (const auto& replica : replicas_) {
    if (replica == nullptr || replica->gpu_link == nullptr) continue;
    ResourceUse use = replica->gpu_link->use_so_far();
    if (use.bytes > Bytes(0)) out.push_back(std::move(use));
  }
  return out;
}

Seconds KvTransferHub::estimate(std::int32_t prefill, std::int32_t decode,
                                std::int64_t tokens) const {
  if (tokens == 0) return Seconds(0);
  const Replica& from = at(prefill);
  const RemotePrefillConnector& reader = *at(decode).connector;
  const Fabric::WayId over = way(prefill, decode);
  const Bytes bytes = reader.bytes(tokens);
  const Seconds before = reader.preparing(*from.connector, tokens);
  if (!fabric_.same_machine(over))
    return before + fabric_.round_trip(over) / 2 +
           bytes / (fabric_.rate(over, streams()) * options_.efficiency);
  if (from.gpu_link == nullptr) return before;
  return before + bytes / Bandwidth(from.gpu_link->capacity() * options_.efficiency);
}

Task KvTransferHub::move(std::int32_t prefill, std::int32_t decode, Bytes bytes) {
  const Fabric::WayId over = way(prefill, decode);
  const Seconds began = tasks_.now();
  Bandwidth alone{0};
  if (!fabric_.same_machine(over)) {
    co_await fabric_.move(over, bytes, streams());
    alone = fabric_.rate(over, streams());
  } else if (SharedServer* link = at(prefill).gpu_link.get()) {
    link->count_bytes(bytes);
    co_await link->use(bytes.real());
    alone = Bandwidth(link->capacity());
  }
  if (alone <= Bandwidth(0) || options_.efficiency == 1) co_return;
  const Seconds least = bytes / (alone * options_.efficiency) + fabric_.round_trip(over) / 2;
  co_await tasks_.sleep(began + least - tasks_.now());
}

}  // namespace kvsim
