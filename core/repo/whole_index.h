// SPDX-License-Identifier: Apache-2.0
// The repository's index as all see it but those who fill it. Another process may empty the index
// and fill it anew at any moment, in many transactions; who looked into it then would miss what is
// there: a snapshot, a blob, the bases of a delta that prune must keep. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "core/base/status.h"
#include "core/index/index.h"

namespace cairn {

class WholeIndex : public Index {
 public:
  // `bring_up` brings the index up to the journal's head, and calls Expect. It must not read from
  // this.
  WholeIndex(std::unique_ptr<Index> filled, std::function<Status()> bring_up)
      : filled_(std::move(filled)), bring_up_(std::move(bring_up)) {}

  // The index itself, for who fills it.
  Index& filled() { return *filled_; }
  // The index has been brought up to this record: a view that has not come so far is not whole.
  void Expect(uint64_t record) { expected_.store(record); }

  // ABORTED if it is emptied again and again.
  StatusOr<std::unique_ptr<IndexReader>> Read() override;
  StatusOr<std::unique_ptr<IndexWriter>> Write() override { return filled_->Write(); }
  StatusOr<uint64_t> StoredBytes() override { return filled_->StoredBytes(); }

 private:
  const std::unique_ptr<Index> filled_;
  const std::function<Status()> bring_up_;
  std::atomic<uint64_t> expected_ = 0;
};

}  // namespace cairn
