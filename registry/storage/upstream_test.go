package storage

import (
	"context"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	storagetesting "k8s.io/apiserver/pkg/storage/testing"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
)

// Upstream's suite for storage and watch caches, on the workspace storage of typed resources and on that of custom ones, each on its own, with
// a filter that shows everything, with what objects belong to, and with lists and watches over all clusters. Every test of it is listed;
// one that is left out says why.

const (
	fromEtcd = "wants an error of decoding from each read, as from etcd; caches have decoded before. Upstream leaves it out for its cacher too; TestUnreadable_* are like it"
	ownKeys  = "wants upstream's words for malformed keys, and objects without a name; TestStorage_RefusesMalformedKeys has ours"
)

type upstreamCase struct {
	name string
	run  func(ctx context.Context, t *testing.T, s *shim)
	// clusterScoped is whether keys hold no namespace.
	clusterScoped bool
	// transformed is whether the test changes what transforms stored bytes.
	transformed bool
	// alone is whether the test sets a feature gate of the process, so that no other test runs beside it. All others mostly wait, for etcd
	// and for timers of the stock cacher.
	alone bool
	// leftOut says why the test does not run.
	leftOut string
	// not says why it does not run on some.
	not func(shimOf) string
}

// Reasons for not.

func notByKey(of shimOf) string {
	if of.wildcard {
		return "asks for an object by its key, which no request for all clusters does"
	}
	return ""
}

func notExpiring(of shimOf) string {
	if of.owned {
		return "stores what ends by itself, which only Events may do: what a workspace stores is counted"
	}
	return ""
}

func notUndecodable(of shimOf) string {
	if of.filtered {
		return "wants to find what cannot be decoded, which no filter shows"
	}
	return ""
}

func notBinary(of shimOf) string {
	if !of.custom {
		return "stores a blank before the object, which only JSON may begin with"
	}
	return ""
}

func notCounted(of shimOf) string {
	switch {
	case of.filtered:
		return "wants remainingItemCount, which filtered lists never tell; TestFilter_Pages is like it"
	case of.wildcard:
		return "wants tokens that do not name a cluster; ListContinuation reads on with ours"
	}
	return ""
}

// noCallCheck stands for upstream's check of how often etcd is read.
func noCallCheck(*testing.T, uint64, uint64) {}

func upstreamCases() []upstreamCase {
	return []upstreamCase{
		{name: "Create", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestCreate(ctx, t, s, s.checkStored)
		}},
		{name: "CreateWithTTL", not: notExpiring, run: func(ctx context.Context, t *testing.T, s *shim) { storagetesting.RunTestCreateWithTTL(ctx, t, s) }},
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
		{name: "List", not: notCounted, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestList(ctx, t, s, s.compact, true, s.recorder())
		}},
		{name: "DeleteWithConflictAndMissingExpectedTransformOrDecodeError", not: notUndecodable, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestDeleteWithConflictAndMissingExpectedTransformOrDecodeError(ctx, t, s, s.failing.Store)
		}},
		{name: "DeleteExpectedTransformOrDecodeError", not: notUndecodable, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestDeleteExpectedTransformOrDecodeError(ctx, t, s, s.failing.Store)
		}},
		{name: "DeleteWithSuggestionAndMissingExpectedTransformOrDecodeError", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestDeleteWithSuggestionAndMissingExpectedTransformOrDecodeError(ctx, t, s)
		}},
		{name: "ConsistentList", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestConsistentList(ctx, t, s, s.increaseRV, true, true, true)
		}},
		{name: "GetListNonRecursive", not: notByKey, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestGetListNonRecursive(ctx, t, s.increaseRV, s)
		}},
		{name: "GetListRecursivePrefix", not: notByKey, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestGetListRecursivePrefix(ctx, t, s)
		}},
		{name: "GetListWithErrorAggregation", leftOut: fromEtcd},
		{name: "GetListWithoutErrorAggregation", leftOut: fromEtcd},
		{name: "ListContinuation", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestListContinuation(ctx, t, s, noCallCheck)
		}},
		{name: "ListPaginationRareObject", clusterScoped: true, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestListPaginationRareObject(ctx, t, s, noCallCheck)
		}},
		{name: "ListContinuationWithFilter", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestListContinuationWithFilter(ctx, t, s, noCallCheck)
		}},
		{name: "ListInconsistentContinuation", leftOut: "wants pages at resourceVersion 0, for which caches ignore the limit; upstream leaves it out for its cacher too"},
		{name: "ListResourceVersionMatch", leftOut: "creates an object whenever one is decoded, which never ends with a cache that decodes what is created; upstream leaves it out for its cacher too"},
		{name: "GuaranteedUpdate", transformed: true, run: func(ctx context.Context, t *testing.T, s *shim) {
			// The test writes an object under the key of another one, which the guard refuses.
			s.renames, s.moved = true, map[string]string{"/pods/non-existing": "/pods/test-ns/non-existing"}
			storagetesting.RunTestGuaranteedUpdate(ctx, t, s, s.checkStored)
		}},
		{name: "GuaranteedUpdateWithTTL", not: notExpiring, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestGuaranteedUpdateWithTTL(ctx, t, s)
		}},
		{name: "GuaranteedUpdateChecksStoredData", transformed: true, not: notBinary, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestGuaranteedUpdateChecksStoredData(ctx, t, s)
		}},
		{name: "GuaranteedUpdateWithConflict", run: func(ctx context.Context, t *testing.T, s *shim) {
			s.renames = true // the test changes names, which the guard refuses
			storagetesting.RunTestGuaranteedUpdateWithConflict(ctx, t, s)
		}},
		{name: "GuaranteedUpdateWithSuggestionAndConflict", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestGuaranteedUpdateWithSuggestionAndConflict(ctx, t, s)
		}},
		{name: "TransformationFailure", leftOut: fromEtcd},
		{name: "Stats", clusterScoped: true, run: func(ctx context.Context, t *testing.T, s *shim) {
			// Sizes are not estimated here: that would keep the size of every key in memory.
			storagetesting.RunTestStats(ctx, t, s, s.codec, identity.NewEncryptCheckTransformer(), false)
		}},
		{name: "ListPaging", run: func(ctx context.Context, t *testing.T, s *shim) { storagetesting.RunTestListPaging(ctx, t, s) }},
		{name: "NamespaceScopedList", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestNamespaceScopedList(ctx, t, s)
		}},
		{name: "CompactRevision", run: func(ctx context.Context, t *testing.T, s *shim) {
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
		{name: "WatchError", leftOut: fromEtcd},
		{name: "WatchWithUnsafeDelete", leftOut: fromEtcd},
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
		{name: "WatchDispatchBookmarkEvents", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestWatchDispatchBookmarkEvents(ctx, t, s, true)
		}},
		{name: "OptionalWatchBookmarksWithCorrectResourceVersion", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunTestOptionalWatchBookmarksWithCorrectResourceVersion(ctx, t, s)
		}},
		{name: "SendInitialEventsBackwardCompatibility", run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunSendInitialEventsBackwardCompatibility(ctx, t, s)
		}},
		{name: "WatchSemantics", alone: true, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunWatchSemantics(ctx, t, s)
		}},
		{name: "WatchSemanticInitialEventsExtended", alone: true, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunWatchSemanticInitialEventsExtended(ctx, t, s)
		}},
		{name: "WatchListMatchSingle", alone: true, run: func(ctx context.Context, t *testing.T, s *shim) {
			storagetesting.RunWatchListMatchSingle(ctx, t, s)
		}},
		{name: "WatchErrorIsBlockingFurtherEvents", leftOut: fromEtcd},
		{name: "OptionalTestProgressNotify", leftOut: "is for stores that send etcd's own progress to users; cachers never do"},
	}
}

func TestUpstream(t *testing.T) {
	for _, c := range upstreamCases() {
		t.Run(c.name, func(t *testing.T) {
			if c.leftOut != "" {
				t.Skip(c.leftOut)
			}
			if !c.alone {
				t.Parallel()
			}
			for _, of := range []shimOf{
				{}, {custom: true}, {filtered: true}, {custom: true, filtered: true}, {owned: true}, {custom: true, owned: true}, {wildcard: true}, {custom: true, wildcard: true},
			} {
				of.clusterScoped, of.transformed = c.clusterScoped, c.transformed
				t.Run(of.String(), func(t *testing.T) {
					if !c.alone {
						t.Parallel()
					}
					if c.not != nil {
						if why := c.not(of); why != "" {
							t.Skip(why)
						}
					}
					c.run(t.Context(), t, newShim(t, of))
				})
			}
		})
	}
}

// TestUpstream_ListsEveryTest looks into upstream's package, so that a test that comes with a new version is not missed.
func TestUpstream_ListsEveryTest(t *testing.T) {
	listed := map[string]bool{}
	for _, c := range upstreamCases() {
		listed[c.name] = true
	}
	upstream, err := build.Import("k8s.io/apiserver/pkg/storage/testing", ".", 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range upstream.GoFiles {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(upstream.Dir, name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Run") || strings.HasPrefix(f.Name.Name, "RunBenchmark") {
				continue
			}
			found++
			if short := strings.TrimPrefix(strings.TrimPrefix(f.Name.Name, "Run"), "Test"); !listed[short] {
				t.Errorf("%s of upstream is not listed", f.Name.Name)
			}
		}
	}
	if found != len(listed) {
		t.Errorf("upstream has %d tests, %d are listed", found, len(listed))
	}
}
