// The state an LsmTree starts in when it is given entries of earlier days.
#include <algorithm>

#include "sim/base/check.hpp"
#include "sim/store/lsm_tree.hpp"

namespace kvsim {

namespace {

// Of a level's target: filled by so much, a level is settled and about to compact.
constexpr double kFilled = 0.95;

Bytes share(Bytes bytes, double factor) {
  return Bytes(static_cast<std::int64_t>(bytes.real() * factor));
}

// What each level holds of so many bytes. Upper levels are near their targets, what is left is in
// the deepest level that is needed. With dynamic targets that is always the last, and the levels
// above it hold a multiplier-th each, down to the base size.
std::vector<Bytes> rooms(const LsmOptions& options, const LsmLevels& levels, Bytes total) {
  std::vector<Bytes> room(static_cast<std::size_t>(levels.count()), Bytes(0));
  Bytes left = total;
  const int last = levels.count() - 1;
  if (!options.level_compaction_dynamic_level_bytes) {
    for (int level = 1; level <= last; ++level) {
      const Bytes goal = share(levels.target(level), kFilled);
      room[static_cast<std::size_t>(level)] = level == last ? left : std::min(left, goal);
      left -= room[static_cast<std::size_t>(level)];
    }
    return room;
  }
  const double above = kFilled / options.max_bytes_for_level_multiplier;
  for (int level = last; level > 0; --level) {
    const bool rest = level == 1 || left <= options.max_bytes_for_level_base;
    room[static_cast<std::size_t>(level)] = rest ? left : share(left, 1 - above);
    left -= room[static_cast<std::size_t>(level)];
  }
  return room;
}

}  // namespace

void LsmTree::preload(const std::vector<Preload>& entries) {
  KV_CHECK(table_bytes() == Bytes(0) && last_file_ == 0, "preload of a tree in use");
  Running holder;
  LsmRun run;
  Bytes total(0);
  for (const Preload& entry : entries) {
    run.push_back({entry.key, static_cast<std::uint32_t>(entry.value.count()), LsmEntry::kInline});
  }
  move_to_blobs(run, holder);
  adopt_blobs(holder);
  for (const LsmEntry& entry : run) total += LsmFormat::table_entry(options_, entry);

  const std::vector<Bytes> room = rooms(options_, levels_, total);
  auto next = run.begin();
  for (int level = levels_.count() - 1; level > 0; --level) {
    LsmRun here;
    for (Bytes space = room[static_cast<std::size_t>(level)]; space > Bytes(0) && next != run.end();
         ++next) {
      space -= LsmFormat::table_entry(options_, *next);
      here.push_back(*next);
    }
    preload_level(level, std::move(here));
  }
  KV_CHECK(next == run.end(), "entries left over");
  levels_.refresh();
}

void LsmTree::preload_level(int level, LsmRun run) {
  if (run.empty()) return;
  std::sort(run.begin(), run.end(),
            [](const LsmEntry& a, const LsmEntry& b) { return a.key < b.key; });
  Running holder;
  add_outputs(holder, cut_files(options_, {level, levels_.target_file(level)}, run));
  adopt_blobs(holder);
  levels_.add(level, std::move(holder.outputs));
}

}  // namespace kvsim
