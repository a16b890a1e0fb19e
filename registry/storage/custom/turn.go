package custom

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/answer"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/raw"
)

// turning is what a watch of all clusters does when its filter turns: it looks again at all objects of the clusters concerned.
type turning struct {
	storage   *Storage
	ctx       context.Context //nolint:containedctx // a turning is a part of its watch
	at        layout.Place
	predicate apistorage.SelectionPredicate
	view      *view
}

// turns returns what makes a watch look again; none if its filter does not turn by itself.
func (t turning) turns() answer.Turns {
	filter := t.view.match.sight.Turning()
	if filter == nil || t.view.known == nil || !t.at.Wildcard() {
		return answer.Turns{}
	}
	return answer.Turns{C: filter.Turns(), Events: func() iter.Seq[watch.Event] {
		clusters := filter.Turned()
		return func(yield func(watch.Event) bool) {
			for _, cluster := range clusters {
				objects, err := t.objects(cluster)
				if err != nil {
					yield(*answer.ErrorEvent(apierrors.NewResourceExpired("what has come into sight cannot be read: list again")))
					return
				}
				for i := range objects {
					if !yield(watch.Event{Type: watch.Modified, Object: &objects[i]}) {
						return
					}
				}
			}
		}
	}}
}

// objects returns the objects of a cluster that the watch has passed, the oldest first. The client may go on from any of them: what follows
// is newer, and it is not let back to before the turn. Those that are newer than what the watch has passed are still to come.
func (t turning) objects(cluster logicalcluster.Name) ([]raw.Object, error) {
	predicate := t.predicate
	predicate.Field, predicate.Limit, predicate.Continue = fields.Everything(), 0, ""
	list, err := t.storage.raw.Page(t.ctx, t.at.Key+string(cluster)+"/", false, apistorage.ListOptions{ResourceVersion: "0", Recursive: true, Predicate: predicate})
	if err != nil {
		return nil, err
	}
	passed := make([]raw.Object, 0, len(list.Items))
	for i := range list.Items {
		object := &list.Items[i]
		if version(object) > t.view.position {
			continue
		}
		if last, is := t.view.known[object.Key()]; is && last.GetResourceVersion() == object.GetResourceVersion() && t.view.match.raw(object) {
			continue // the client has it, and keeps it
		}
		passed = append(passed, *object)
	}
	slices.SortStableFunc(passed, func(a, b raw.Object) int { return cmp.Compare(version(&a), version(&b)) })
	return passed, nil
}

// version returns the revision of an object; 0 if it has none.
func version(object *raw.Object) uint64 {
	v, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0
	}
	return v
}
