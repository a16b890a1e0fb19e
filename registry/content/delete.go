package content

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/storage/head"
)

// deletionsAtOnce bounds how many objects one call deletes at a time: each waits for etcd.
const deletionsAtOnce = 8

// DeleteAll implements client.Content. It looks at what is left, does what that allows, and looks again.
func (c *Content) DeleteAll(ctx context.Context, scope client.ContentScope) (client.Remaining, error) {
	if scope.Cluster.Empty() {
		return client.Remaining{}, apierrors.NewBadRequest("a deletion must name one cluster")
	}
	// In one stage objects are deleted, and released after another look. What is then left has finalizers, or came later.
	most := 1
	if scope.Release != nil {
		most = 2
	}
	rounds, before := 0, 0
	for {
		left, err := c.left(ctx, scope)
		if err != nil || len(left) == 0 {
			return client.Remaining{}, err
		}
		if left[0].number != before {
			rounds, before = 0, left[0].number
		}
		if rounds++; rounds > most {
			return remaining(left[0]), nil
		}
		switch acted, err := c.advance(ctx, scope, left); {
		case err != nil:
			again, listErr := c.left(ctx, scope)
			if len(again) == 0 {
				return client.Remaining{}, errors.Join(err, listErr)
			}
			return remaining(again[0]), errors.Join(err, listErr)
		case !acted:
			return remaining(left[0]), nil
		}
	}
}

// stage is what is left of one stage of a scope, and not empty.
type stage struct {
	number int
	heads  []head.Head
}

func remaining(s stage) client.Remaining {
	var remaining client.Remaining
	for _, h := range s.heads {
		remaining.Add(h.Resource, h.Finalizers)
	}
	return remaining
}

// left returns the stages of scope that hold anything, in their order.
func (c *Content) left(ctx context.Context, scope client.ContentScope) ([]stage, error) {
	all, err := c.List(ctx, scope)
	if scope.Namespace == "" { // deleting the LogicalCluster deletes what is rendered
		all = slices.DeleteFunc(all, func(h head.Head) bool { return h.Rendered })
	}
	if err != nil || len(all) == 0 {
		return nil, err
	}
	if scope.Stage == nil {
		return []stage{{heads: all}}, nil
	}
	var stages []stage
	for _, h := range all {
		number := scope.Stage(h.Resource)
		at, found := slices.BinarySearchFunc(stages, number, func(s stage, number int) int { return s.number - number })
		if !found {
			stages = slices.Insert(stages, at, stage{number: number})
		}
		stages[at].heads = append(stages[at].heads, h)
	}
	return stages, nil
}

// advance goes through the stages as far as it can without another look, and reports whether it did anything. It releases what is
// being deleted. Where anything is not, it asks for that and ends.
func (c *Content) advance(ctx context.Context, scope client.ContentScope, stages []stage) (acted bool, err error) {
	access := c.access()
	// Namespaces come first: in one that stays, controllers would put back what is deleted.
	acted, err = access.deleteNamespaces(ctx, stages)
	for _, s := range stages {
		asked, deleteErr := access.deleteEach(ctx, s.heads)
		acted, err = acted || asked, errors.Join(err, deleteErr)
		if asked || err != nil || scope.Release == nil {
			return acted, err
		}
		some, all, err := release(ctx, scope, s.heads)
		if acted = acted || some; !all || err != nil {
			return acted, err
		}
	}
	return acted, err
}

// deleteNamespaces asks for the deletion of all namespaces that are not being deleted yet, and reports whether there were any.
func (a *access) deleteNamespaces(ctx context.Context, stages []stage) (asked bool, err error) {
	var open []head.Head
	for _, s := range stages {
		for _, h := range s.heads {
			if h.Resource == namespaces && h.DeletionTimestamp == nil {
				open = append(open, h)
			}
		}
	}
	return len(open) > 0, a.deleteThese(ctx, open)
}

// deleteEach asks for the deletion of those heads that are not being deleted yet, or that wait for somebody who can no longer
// remove their finalizers because nothing serves them. It reports whether there were any. Namespaces have been asked before.
func (a *access) deleteEach(ctx context.Context, heads []head.Head) (asked bool, err error) {
	var these []head.Head
	for _, h := range heads {
		switch {
		case h.Resource == namespaces:
			asked = asked || h.DeletionTimestamp == nil
		case h.DeletionTimestamp == nil || a.unserved(ctx, h):
			these = append(these, h)
		}
	}
	return asked || len(these) > 0, a.deleteThese(ctx, these)
}

// deleteThese asks for the deletion of all heads. That one is gone already is no error.
func (a *access) deleteThese(ctx context.Context, heads []head.Head) error {
	return each(heads, "deleting", func(_ int, h head.Head) error { return a.delete(ctx, h) })
}

// release releases all heads, and reports whether that ended some of them, and all.
func release(ctx context.Context, scope client.ContentScope, heads []head.Head) (some, all bool, err error) {
	gone := make([]bool, len(heads))
	err = each(heads, "releasing", func(i int, h head.Head) (err error) {
		gone[i], err = scope.Release(ctx, h.Resource, keyOf(h))
		return err
	})
	return slices.Contains(gone, true), !slices.Contains(gone, false), err
}

// each calls act for all heads, several at a time. That one is gone or changed meanwhile is no error.
func each(heads []head.Head, doing string, act func(int, head.Head) error) error {
	var group errgroup.Group
	group.SetLimit(deletionsAtOnce)
	errs := make([]error, len(heads))
	for i, h := range heads {
		group.Go(func() error {
			if err := act(i, h); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				errs[i] = fmt.Errorf("%s %s %s: %w", doing, h.Resource, keyOf(h), err)
			}
			return nil
		})
	}
	_ = group.Wait() // errors are gathered above
	return errors.Join(errs...)
}

// keyOf returns the key of the object that h is of, as controllers name it.
func keyOf(h head.Head) client.Key {
	return client.Key{Cluster: h.Cluster, Namespace: h.Namespace, Name: h.Name}
}
