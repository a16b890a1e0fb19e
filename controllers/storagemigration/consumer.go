package storagemigration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

const (
	// turn is how long objects are rewritten before the migration is looked at again.
	turn = 500 * time.Millisecond
	// maxTodo is how many objects are noted at a time that are to be rewritten.
	maxTodo = 2_000
	// maxFailed is how many objects of a consumer may fail. The rest of it is left alone then.
	maxFailed = 10
	// maxRounds is how often a consumer may change between two steps that belong together.
	maxRounds = 20
	// perObject is how long it may take to rewrite an object.
	perObject = 30 * time.Second
)

// visit is how far a consumer is.
type visit struct {
	begun  bool // its objects are counted
	rounds int
	// closing is whether nothing is left to be rewritten, as far as is known.
	closing bool
	todo    []one
	failed  map[client.Key]bool // objects that cannot be rewritten; at most maxFailed
	// hidden is whether nothing of it is named: providers do not see what is in workspaces that are switched off.
	hidden bool
}

// one is an object that is stored in another version.
type one struct {
	head    client.Head
	version string
}

// work works on consumers until a turn is over or all are done, and reports whether they are. Each turn does at least one step.
func (r *reconciler) work(ctx context.Context, u *underway) (ended bool, err error) {
	until := r.now().Add(turn)
	for u.next < len(u.consumers) {
		done, err := r.step(ctx, u, u.consumers[u.next])
		if err != nil {
			return false, err
		}
		if done {
			u.next, u.at = u.next+1, visit{}
		}
		if !r.now().Before(until) {
			break
		}
	}
	if u.next < len(u.consumers) {
		return false, nil
	}
	return r.late(ctx, u)
}

// late adds the consumers that came in the meantime, and reports whether there are none.
func (r *reconciler) late(ctx context.Context, u *underway) (none bool, err error) {
	now, err := r.consumers(ctx, &u.subject)
	if err != nil {
		return false, err
	}
	known := map[logicalcluster.Name]bool{}
	for _, cluster := range u.consumers {
		known[cluster] = true
	}
	now = slices.DeleteFunc(now, func(cluster logicalcluster.Name) bool { return known[cluster] })
	u.consumers = append(u.consumers, now...)
	u.result.consumers.Total = int32(len(u.consumers))
	return len(now) == 0, nil
}

// step does one step for a consumer, and reports whether that is done.
func (r *reconciler) step(ctx context.Context, u *underway, cluster logicalcluster.Name) (done bool, err error) {
	if len(u.at.todo) > 0 {
		return r.rewrite(ctx, u, cluster)
	}
	if u.at.rounds > maxRounds {
		u.result.consumers.Failed++
		u.result.left(cluster, "what serves the resource has changed too often in the meantime")
		return true, nil
	}
	serves, err := r.server(ctx, &u.subject, cluster)
	if err != nil {
		return false, err
	}
	switch {
	case serves == nil: // it has not bound the resource any more
		u.result.consumers.Migrated++
		return true, nil
	case serves.behind:
		u.result.consumers.Behind++
		return true, nil
	}
	if u.at.hidden, err = r.IsHidden(ctx, cluster); err != nil {
		return false, err
	}
	if others := serves.others(&u.subject); u.at.closing && len(others) > 0 {
		if err := r.retire(ctx, u, cluster, serves, others); err != nil {
			return u.refused(cluster, err)
		}
	} else if u.at.closing {
		return u.close(), nil
	}
	if err := r.look(ctx, u, cluster); err != nil {
		return false, err
	}
	switch {
	case len(u.at.todo) > 0:
		if u.at.closing {
			u.at.closing, u.at.rounds = false, u.at.rounds+1
		}
		return false, nil
	case len(u.at.failed) > 0:
		return u.close(), nil
	case !u.at.closing:
		u.at.closing = true
		return false, nil
	}
	_, err = r.Client.Update(ctx, serves.resource, cluster, serves.without(&u.subject))
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err): // it has changed since it was read
		u.at.rounds++
		return false, nil
	case err != nil:
		return u.refused(cluster, fmt.Errorf("taking the versions off that no object is stored in: %w", err))
	}
	return u.close(), nil
}

// refused ends the visit of a consumer if err is about that consumer alone: it must not hold up others. Otherwise it returns err.
func (u *underway) refused(cluster logicalcluster.Name, err error) (done bool, _ error) {
	switch {
	case apierrors.IsNotFound(err): // the workspace is gone
		u.result.consumers.Migrated++
		return true, nil
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		u.result.consumers.Failed++
		u.result.left(cluster, "all objects are rewritten, but its list of versions cannot be changed")
		return true, nil
	}
	return false, err
}

// close ends the visit of a consumer.
func (u *underway) close() bool {
	if len(u.at.failed) > 0 {
		u.result.consumers.Failed++
	} else {
		u.result.consumers.Migrated++
	}
	return true
}

// retire has writes in other versions fail.
func (r *reconciler) retire(ctx context.Context, u *underway, cluster logicalcluster.Name, serves *server, others []string) error {
	for _, version := range others {
		if err := r.rate.Wait(ctx); err != nil {
			return err
		}
		err := r.Content.Retire(ctx, client.Retirement{
			Cluster: cluster, Resource: u.subject.resource, Bucket: u.subject.bucket, Version: version,
			Owner: serves.resource, OwnerName: serves.object.GetName(), ResourceVersion: serves.object.GetResourceVersion(),
		})
		if err != nil {
			return fmt.Errorf("retiring version %s: %w", version, err)
		}
	}
	return nil
}

var (
	// errEnough ends a look.
	errEnough = errors.New("enough")
	// errLater ends a turn: the next one is not soon.
	errLater = errors.New("later")
)

// look notes the objects of a consumer that are stored in another version and have not failed.
func (r *reconciler) look(ctx context.Context, u *underway, cluster logicalcluster.Name) error {
	counts := !u.at.begun
	scope := client.ContentScope{Cluster: cluster, Wanted: func(gr schema.GroupResource, bucket string) bool {
		return bucket == u.subject.bucket && gr == u.subject.resource
	}}
	seen := int64(0)
	err := r.Content.Stored(ctx, scope, func(h client.Head, stored *unstructured.Unstructured) error {
		seen++
		if stored == nil {
			u.fail(one{head: h}, "cannot be read")
			return nil
		}
		gvk := stored.GroupVersionKind()
		if gvk.Group == u.subject.resource.Group && gvk.Version == u.subject.version || u.at.failed[h.Key()] {
			return nil
		}
		if len(u.at.todo) < maxTodo {
			u.at.todo = append(u.at.todo, one{version: strings.Clone(gvk.Version), head: client.Head{
				Resource: u.subject.resource, Bucket: u.subject.bucket, Cluster: cluster, Namespace: strings.Clone(h.Namespace), Name: strings.Clone(h.Name), UID: h.UID,
			}})
		}
		if !counts && len(u.at.todo) == maxTodo {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		u.at.todo = nil
		return err
	}
	if counts {
		u.result.objects.Seen += seen
		u.at.begun = true
	}
	return nil
}

// rewrite rewrites one object of a consumer, and reports whether the consumer is done, because too many have failed.
func (r *reconciler) rewrite(ctx context.Context, u *underway, cluster logicalcluster.Name) (done bool, err error) {
	if err := r.rate.Wait(ctx); err != nil {
		return false, err
	}
	next := u.at.todo[0]
	limited, cancel := context.WithTimeout(ctx, perObject)
	defer cancel()
	err = r.Content.Rewrite(limited, next.head, u.subject.version)
	var reason *client.NotRewrittenError
	switch {
	case err == nil:
		u.result.objects.Rewritten++
	case apierrors.IsNotFound(err):
	case apierrors.IsConflict(err): // the consumer has another schema now, which the server has not seen everywhere
		u.at.todo, u.at.rounds = nil, u.at.rounds+1
		return false, errLater
	case errors.As(err, &reason):
		u.fail(next, reason.Reason)
	case limited.Err() != nil && ctx.Err() == nil:
		u.fail(next, fmt.Sprintf("takes longer than %s", perObject))
	default:
		return false, fmt.Errorf("rewriting %s %s: %w", u.subject.resource, next.head.Key(), err)
	}
	if u.at.todo = u.at.todo[1:]; len(u.at.failed) < maxFailed {
		return false, nil
	}
	u.result.left(cluster, fmt.Sprintf("%d objects have failed: the others were not looked at any more", maxFailed))
	return u.close(), nil
}

// fail notes that an object cannot be rewritten.
func (u *underway) fail(o one, message string) {
	key := client.Key{Cluster: o.head.Cluster, Namespace: strings.Clone(o.head.Namespace), Name: strings.Clone(o.head.Name)}
	if u.at.failed[key] || len(u.at.failed) >= maxFailed {
		return
	}
	if u.at.failed == nil {
		u.at.failed = map[client.Key]bool{}
	}
	u.at.failed[key] = true
	u.result.failed(o.head, o.version, message, u.at.hidden)
}
