package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
)

// rule is what each write in one namespace has to pass.
type rule struct {
	name string // of the figure; the names of sides that have the rule end with it
	// make makes the rule for ConfigMaps in a namespace, and returns when it
	// applies.
	make func(ctx context.Context, client dynamic.Interface, namespace string) error
}

// measureRule tells how fast ConfigMaps are created, read, patched, listed and
// deleted in a namespace with the rule, and in one without.
func (b *bench) measureRule(ctx context.Context, r rule) error {
	without, err := b.crudSides(ctx, r.name)
	if err != nil {
		return err
	}
	var sides []*crudSide
	for _, side := range without {
		side.namespace = "load-" + b.id
		with := newCRUDSide(side.name+"_"+r.name, side.config, side.url, side.namespace+"-"+r.name)
		for _, s := range []*crudSide{side, with} {
			if err := s.prepare(func(client dynamic.Interface) error {
				if err := makeNamespace(ctx, client, s.namespace); err != nil || s != with {
					return err
				}
				return r.make(ctx, client, s.namespace)
			}); err != nil {
				return fmt.Errorf("preparing %s: %w", s.name, err)
			}
			sides = append(sides, s)
		}
	}
	if err := b.crudRounds(ctx, sides); err != nil {
		return err
	}
	b.reportRule(r.name, sides)
	return nil
}

func makeNamespace(ctx context.Context, client dynamic.Interface, name string) error {
	namespaces := corev1.SchemeGroupVersion.WithResource("namespaces")
	_, err := client.Resource(namespaces).Create(ctx, newObject(namespaces, "Namespace", name, nil), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating a namespace: %w", err)
	}
	return nil
}

// reportRule prints each side, and how those with the rule compare: with the
// same server without it, and with each other.
func (b *bench) reportRule(name string, sides []*crudSide) {
	by := map[string]*crudSide{}
	for _, side := range sides {
		by[side.name] = side
		for _, op := range operations() {
			b.report.add(name+"_"+side.name+"_"+op.name+"_rate", side.results[op.name].rate(), unitRate)
			b.report.latencies(name+"_"+side.name+"_"+op.name, side.results[op.name].latencies)
		}
	}
	for _, op := range operations() {
		for _, pair := range []struct{ name, of, than string }{
			{"workspace_kept", "workspace_" + name, "workspace"},
			{"plain_kept", "plain_" + name, "plain"},
			{"rate_ratio", "workspace_" + name, "plain_" + name},
		} {
			of, than := by[pair.of], by[pair.than]
			if of != nil && than != nil {
				b.report.add(name+"_"+op.name+"_"+pair.name, of.results[op.name].rate()/than.results[op.name].rate(), unitCount)
			}
		}
	}
}
