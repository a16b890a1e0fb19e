package storage

import (
	"context"
	"testing"

	storagetesting "k8s.io/apiserver/pkg/storage/testing"
)

// Upstream's suite for storage, on the workspace storage of typed resources and on that of custom ones, each without a filter
// and with one that shows everything. Every test of it
// is listed; one that is left out says why.

const (
	needsTransformer = "puts transformers of its own below; ours is the guard, and takes none"
	renames          = "renames objects in place, which the guard refuses; TestGuaranteedUpdate_TriesAgainAfterConflict is like it"
	emptySegment     = "its keys have an empty segment, which tokens cannot hold; TestCustomResources_PageBySelectableField is like it"
	ownKeys          = "wants upstream's words for malformed keys; TestStorage_RefusesMalformedKeys has ours"
)

type upstreamCase struct {
	name string
	run  func(ctx context.Context, t *testing.T, s *shim)
	// clusterScoped is whether keys hold no namespace.
	clusterScoped bool
	// waits is whether the test mostly waits for timers of the stock cacher, so that it runs beside others.
	waits bool
	// leftOut says why the test does not run.
	leftOut string
	// notFiltered says why it does not run with a filter.
	notFiltered string
}

func noKeyCheck(context.Context, *testing.T, string) {}
func noCallCheck(*testing.T, uint64, uint64)         {}

func upstreamCases() []upstreamCase {
	return []upstreamCase{
		{name: "Create", run: func(ctx context.Context, t *testing.T, s *shim) { storagetesting.RunTestCreate(ctx, t, s, noKeyCheck) }},
		{name: "CreateWithTTL", run: func(ctx context.Context, t *testing.T, s *shim) { storagetesting.RunTestCreateWithTTL(ctx, t, s) }},
		{name: "CreateWithKeyExist", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestCreateWithKeyExist(ctx, t, s)
		}},
		{name: "Get", run: func(ctx context.Context, t *testing.T, s *shim) {
			s.withoutTTL = true // the object would end a second after it was written, perhaps before it is read
			storagetesting.RunTestGet(ctx, t, s)
		}},
		{name: "UnconditionalDelete", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestUnconditionalDelete(ctx, t, s)
		}},
		{name: "ConditionalDelete", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestConditionalDelete(ctx, t, s)
		}},
		{name: "DeleteWithSuggestion", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestDeleteWithSuggestion(ctx, t, s)
		}},
		{name: "DeleteWithSuggestionAndConflict", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestDeleteWithSuggestionAndConflict(ctx, t, s)
		}},
		{name: "DeleteWithConflict", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestDeleteWithConflict(ctx, t, s)
		}},
		{name: "DeleteWithSuggestionOfDeletedObject", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestDeleteWithSuggestionOfDeletedObject(ctx, t, s)
		}},
		{name: "ValidateDeletionWithSuggestion", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestValidateDeletionWithSuggestion(ctx, t, s)
		}},
		{name: "ValidateDeletionWithOnlySuggestionValid", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestValidateDeletionWithOnlySuggestionValid(ctx, t, s)
		}},
		{name: "PreconditionalDeleteWithSuggestion", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestPreconditionalDeleteWithSuggestion(ctx, t, s)
		}},
		{name: "PreconditionalDeleteWithOnlySuggestionPass", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestPreconditionalDeleteWithOnlySuggestionPass(ctx, t, s)
		}},
		{name: "List", waits: true, notFiltered: "wants remainingItemCount, which filtered lists never tell; TestFilter_Pages is like it", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestList(ctx, t, s, s.compact, true, s.recorder())
		}},
		{name: "DeleteWithConflictAndMissingExpectedTransformOrDecodeError", leftOut: needsTransformer},
		{name: "DeleteExpectedTransformOrDecodeError", leftOut: needsTransformer},
		{name: "DeleteWithSuggestionAndMissingExpectedTransformOrDecodeError", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestDeleteWithSuggestionAndMissingExpectedTransformOrDecodeError(ctx, t, s)
		}},
		{name: "ConsistentList", waits: true, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestConsistentList(ctx, t, s, s.increaseRV, true, true, true)
		}},
		{name: "GetListNonRecursive", waits: true, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestGetListNonRecursive(ctx, t, s.increaseRV, s)
		}},
		{name: "GetListRecursivePrefix", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestGetListRecursivePrefix(ctx, t, s)
		}},
		{name: "GetListWithErrorAggregation", leftOut: needsTransformer},
		{name: "GetListWithoutErrorAggregation", leftOut: needsTransformer},
		{name: "ListContinuation", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestListContinuation(ctx, t, s, noCallCheck)
		}},
		{name: "ListPaginationRareObject", leftOut: emptySegment},
		{name: "ListContinuationWithFilter", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestListContinuationWithFilter(ctx, t, s, noCallCheck)
		}},
		{name: "ListInconsistentContinuation", leftOut: "wants pages at resourceVersion 0, for which caches ignore the limit; upstream leaves it out for its cacher too"},
		{name: "ListResourceVersionMatch", leftOut: needsTransformer},
		{name: "GuaranteedUpdate", leftOut: needsTransformer},
		{name: "GuaranteedUpdateWithTTL", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestGuaranteedUpdateWithTTL(ctx, t, s)
		}},
		{name: "GuaranteedUpdateChecksStoredData", leftOut: needsTransformer},
		{name: "GuaranteedUpdateWithConflict", leftOut: renames},
		{name: "GuaranteedUpdateWithSuggestionAndConflict", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestGuaranteedUpdateWithSuggestionAndConflict(ctx, t, s)
		}},
		{name: "TransformationFailure", leftOut: needsTransformer},
		{name: "Stats", leftOut: "writes keys of its own layout to etcd and wants their sizes; sizes are not estimated here"},
		{name: "ListPaging", run: func(ctx context.Context, t *testing.T, s *shim) { storagetesting.RunTestListPaging(ctx, t, s) }},
		{name: "NamespaceScopedList", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestNamespaceScopedList(ctx, t, s)
		}},
		{name: "CompactRevision", waits: true, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestCompactRevision(ctx, t, s, s.increaseRV, s.compact)
		}},
		{name: "KeySchema", leftOut: ownKeys},
		{name: "Watch", run: func(ctx context.Context, t *testing.T, s *shim) { storagetesting.RunTestWatch(ctx, t, s) }},
		{name: "WatchFromZero", run: func(ctx context.Context, t *testing.T, s *shim) {
			// The cacher keeps its history when etcd is compacted, so the part after compaction is not for it.
			storagetesting.RunTestWatchFromZero(ctx, t, s, nil)
		}},
		{name: "DeleteTriggerWatch", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestDeleteTriggerWatch(ctx, t, s)
		}},
		{name: "WatchFromNonZero", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestWatchFromNonZero(ctx, t, s)
		}},
		{name: "DelayedWatchDelivery", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestDelayedWatchDelivery(ctx, t, s)
		}},
		{name: "WatchError", leftOut: needsTransformer},
		{name: "WatchWithUnsafeDelete", leftOut: needsTransformer},
		{name: "WatchContextCancel", leftOut: "wants a watch with a canceled context to begin; upstream leaves it out for its cacher too"},
		{name: "WatcherTimeout", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestWatcherTimeout(ctx, t, s)
		}},
		{name: "WatchDeleteEventObjectHaveLatestRV", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestWatchDeleteEventObjectHaveLatestRV(ctx, t, s)
		}},
		{name: "WatchInitializationSignal", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestWatchInitializationSignal(ctx, t, s)
		}},
		{name: "ClusterScopedWatch", clusterScoped: true, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestClusterScopedWatch(ctx, t, s)
		}},
		{name: "NamespaceScopedWatch", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestNamespaceScopedWatch(ctx, t, s)
		}},
		{name: "WatchDispatchBookmarkEvents", waits: true, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestWatchDispatchBookmarkEvents(ctx, t, s, true)
		}},
		{name: "OptionalWatchBookmarksWithCorrectResourceVersion", waits: true, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestOptionalWatchBookmarksWithCorrectResourceVersion(ctx, t, s)
		}},
		{name: "SendInitialEventsBackwardCompatibility", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunSendInitialEventsBackwardCompatibility(ctx, t, s)
		}},
		{name: "WatchSemantics", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunWatchSemantics(ctx, t, s)
		}},
		{name: "WatchSemanticInitialEventsExtended", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunWatchSemanticInitialEventsExtended(ctx, t, s)
		}},
		{name: "WatchListMatchSingle", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunWatchListMatchSingle(ctx, t, s)
		}},
		{name: "WatchErrorIsBlockingFurtherEvents", leftOut: needsTransformer},
		{name: "OptionalTestProgressNotify", leftOut: "is for stores that send etcd's own progress to users; cachers never do"},
	}
}

func TestUpstream(t *testing.T) {
	for _, c := range upstreamCases() {
		t.Run(c.name, func(t *testing.T) {
			if c.leftOut != "" {
				t.Skip(c.leftOut)
			}
			if c.waits {
				t.Parallel()
			}
			for _, filtered := range []bool{false, true} {
				for _, custom := range []bool{false, true} {
					name := map[bool]string{false: "typed", true: "custom"}[custom] + map[bool]string{true: " with a filter"}[filtered]
					t.Run(name, func(t *testing.T) {
						if c.waits {
							t.Parallel()
						}
						if filtered && c.notFiltered != "" {
							t.Skip(c.notFiltered)
						}
						s := newShim(t, custom, !c.clusterScoped)
						s.filtered = filtered
						c.run(t.Context(), t, s)
					})
				}
			}
		})
	}
}
