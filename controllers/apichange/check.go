package apichange

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
)

const (
	// turn is how long a report is checked before others have their turn.
	turn = 500 * time.Millisecond
	// maxTime is how long checking a report may take.
	maxTime = time.Hour
)

// errTurnOver ends a visit in the middle of a consumer.
var errTurnOver = errors.New("the turn is over")

// position is how far the objects of the next consumer have been checked.
type position struct {
	tally *tally // nil before the first one
	// resource is the index of the resource, and after the last object of it that was checked; empty if none was.
	resource int
	after    string
}

// check checks objects until a turn is over or all are checked, and reports whether they are. Each turn checks at least one object or consumer.
func (r *reconciler) check(ctx context.Context, u *underway) (ended bool, err error) {
	content, now := r.Content, r.now
	until := now().Add(turn)
	for u.next < len(u.subject.consumers) {
		one := u.subject.consumers[u.next]
		if u.at.tally == nil {
			hidden, err := r.IsHidden(ctx, one.cluster)
			if err != nil {
				return false, err
			}
			u.at = position{tally: &tally{of: &u.result, cluster: one.cluster, hidden: hidden}}
		}
		for u.at.resource < len(u.subject.order) {
			err := u.checkResource(ctx, content, func() { until = now().Add(turn) }, func() bool { return !now().Before(until) })
			if errors.Is(err, errTurnOver) {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			u.at.resource, u.at.after = u.at.resource+1, ""
		}
		u.at.tally.end(one.behind)
		u.next, u.at = u.next+1, position{}
		if !now().Before(until) {
			break
		}
	}
	return u.next == len(u.subject.consumers), nil
}

// checkResource checks the objects of one resource of the next consumer. If the turn is over before, it continues after the last one at the next turn,
// which is as long as the others whatever it takes to get there: it calls again then.
func (u *underway) checkResource(ctx context.Context, content client.Content, again func(), over func() bool) error {
	resource := u.subject.order[u.at.resource]
	checker := u.subject.resources[resource].checker
	scope := client.ContentScope{Cluster: u.at.tally.cluster, Wanted: func(gr schema.GroupResource, bucket string) bool {
		return bucket == u.subject.identity && gr == resource
	}}
	last, checked, resumed := "", 0, u.at.after != ""
	return content.Stored(ctx, scope, func(h client.Head, stored *unstructured.Unstructured) error {
		at := h.Name
		if h.Namespace != "" {
			at = h.Namespace + "/" + h.Name
		}
		if at <= last {
			return fmt.Errorf("checking %s: %s comes after %q, so others may be missed", resource, h.Key(), last)
		}
		if last = strings.Clone(at); at <= u.at.after {
			return nil // was checked in an earlier turn
		}
		if checked == 0 && resumed {
			again()
		}
		if checked > 0 && over() {
			return errTurnOver
		}
		checked++
		if stored == nil {
			u.at.tally.unreadable(h)
		} else {
			faults, more, err := checker.Check(ctx, stored)
			if err != nil {
				return fmt.Errorf("checking %s %s: %w", resource, h.Key(), err)
			}
			u.at.tally.note(h, stored.GroupVersionKind().Version, faults, more)
		}
		u.at.after = last
		return nil
	})
}
