// Byte shuffle and checksum.
#include <algorithm>

#include "kernels/byte_shuffle.hpp"
#include "kernels/check/check.hpp"
#include "kernels/checksum.hpp"
#include "kernels/device_memory.hpp"

namespace kvsim::kernels {
namespace {

void check_shuffle(Report& report, std::int64_t count, int width) {
  const std::string name = std::to_string(count) + " elements of " + std::to_string(width);
  const Memory in = pattern(count * width, 3);
  Memory shuffled(in.size());
  shuffle_reference(in.data(), count, width, shuffled.data());
  Memory back(in.size());
  unshuffle_reference(shuffled.data(), count, width, back.data());
  report.expect(back == in, "shuffle and back: " + name);
  if (count > 1 && width > 1) {
    report.expect(shuffled[1] == in[static_cast<std::size_t>(width)],
                  "the second byte is the first of the second element: " + name);
  }
  const DeviceBuffer<std::byte> device_in(in);
  const DeviceBuffer<std::byte> device_out(Memory(in.size()));
  const DeviceBuffer<std::byte> device_back(Memory(in.size()));
  shuffle_device(device_in.data(), count, width, device_out.data(), nullptr);
  report.expect(device_out.fetch() == shuffled, "device shuffle: " + name);
  unshuffle_device(device_out.data(), count, width, device_back.data(), nullptr);
  report.expect(device_back.fetch() == in, "device unshuffle: " + name);
}

void check_checksum(Report& report, std::int64_t bytes) {
  const std::string name = std::to_string(bytes) + " bytes";
  Memory data = pattern(bytes, 4);
  const std::uint64_t sum = checksum_reference(data.data(), bytes);
  const DeviceBuffer<std::byte> device_data(data);
  const DeviceBuffer<unsigned long long> device_sum(std::vector<unsigned long long>{0});
  checksum_device(device_data.data(), bytes, device_sum.data(), nullptr);
  report.expect(checksum_of_sum(device_sum.fetch()[0], bytes) == sum, "device checksum: " + name);
  data.back() ^= std::byte{1};
  report.expect(checksum_reference(data.data(), bytes) != sum, "last bit flipped: " + name);
  data.back() ^= std::byte{1};
  data.push_back(std::byte{0});
  report.expect(checksum_reference(data.data(), bytes + 1) != sum, "one zero more: " + name);
}

}  // namespace

void check_bytes(Report& report, bool large) {
  for (const int width : {1, 2, 4, 8}) {
    for (const std::int64_t count : {1, 15, 16, 17, 160, 1000, 5008}) {
      check_shuffle(report, count, width);
    }
    if (large) check_shuffle(report, 1 << 20, width);
  }
  report.expect_refused([] { shuffle_device(nullptr, 16, 3, nullptr, nullptr); }, "a width of 3");
  for (const std::int64_t bytes : {1, 7, 8, 9, 15, 16, 17, 1000, 4099, 70000}) {
    check_checksum(report, bytes);
  }
  if (large) check_checksum(report, (64 << 20) + 5);
  Memory words = pattern(64, 9);
  const std::uint64_t sum = checksum_reference(words.data(), 64);
  std::swap_ranges(words.begin(), words.begin() + 8, words.begin() + 16);
  report.expect(checksum_reference(words.data(), 64) != sum, "swapped words change the checksum");
}

}  // namespace kvsim::kernels
