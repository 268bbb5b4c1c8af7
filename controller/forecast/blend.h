#pragma once

#include <array>
#include <span>
#include <vector>

#include "controller/forecast/track_record.h"

namespace proteus::forecast {

/// A model's share of a blend at each scored lead.
using Shares = TrackRecord::PerLead;

/// A model that may take part in a blend.
struct BlendMember {
  const TrackRecord* record = nullptr;  ///< null where it cannot forecast now
  double standing = 1;                  ///< Contestant::standing
};

/// What each model is to contribute at each scored lead: shares go with a power of its recent pinball loss there
/// against the fallback's, times its standing; if that is below 1, the ratio counts less while few forecasts that far
/// ahead have been scored. A model that loses to the fallback at a lead has no share at it; neither has one of which
/// too little is known. One whose newest next-step forecasts are suddenly far worse than the fallback's, as after a
/// change of what the VM does, loses its shares within a few steps. The fallback takes what is left, everything if need
/// be. Returns their shares, then the fallback's; at each lead they add up to 1. Thread: pure. Source: averaging
/// quantiles, Lichtendahl et al. (2013); weights by past loss, Bates & Granger (1969).
std::vector<Shares> shares_of(std::span<const BlendMember> others, const TrackRecord& fallback);

/// Quantiles averaged level by level, shares interpolated between the leads by their logarithm; the window maximum by
/// the mean share. forecasts: as many steps each, null where all shares are 0; lead_steps: of the scored leads. At
/// least one has a share.
Forecast blended(std::span<const Forecast* const> forecasts, std::span<const Shares> shares,
                 const std::array<int, TrackRecord::kScoredLeads>& lead_steps);

}  // namespace proteus::forecast
