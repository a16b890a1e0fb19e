package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/host"
)

// garbageSteps makes objects in default whose owners are there, or not, and deletes some. What is then left is in garbageLeft.
func garbageSteps(e estate) {
	cm, gadget := ownedKinds[0], ownedKinds[1]
	const hold = "example.com/hold"
	elsewhere := func(ref metav1.OwnerReference, change func(*metav1.OwnerReference)) metav1.OwnerReference {
		change(&ref)
		return ref
	}
	// kube-controller-manager knows of a CRD half a minute later, and of dependents that it does not know it orphans none.
	e.make(gadget, "known", nil, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "nobody", UID: "nobody"})
	e.awaitGone(gadget, "known")
	stays := e.make(cm, "stays", nil)
	e.make(cm, "right", nil, cm.of(stays, true))
	e.make(gadget, "right", nil, cm.of(stays, false))
	e.make(cm, "another-uid", nil, elsewhere(cm.of(stays, true), func(r *metav1.OwnerReference) { r.UID = "another" }))
	e.make(cm, "another-name", nil, elsewhere(cm.of(stays, true), func(r *metav1.OwnerReference) { r.Name = "another" }))
	e.make(cm, "another-version", nil, elsewhere(cm.of(stays, true), func(r *metav1.OwnerReference) { r.APIVersion = "v9" }))
	e.make(cm, "unknown-kind", nil, elsewhere(cm.of(stays, true), func(r *metav1.OwnerReference) { r.Kind = "Unheard" }), elsewhere(cm.of(stays, true), func(r *metav1.OwnerReference) { r.UID = "another" }))
	e.make(cm, "one-is-gone", []string{hold}, cm.of(stays, true), elsewhere(cm.of(stays, true), func(r *metav1.OwnerReference) { r.Name, r.UID = "gone", "gone" }))
	e.make(gadget, "all-are-gone", []string{hold}, elsewhere(cm.of(stays, true), func(r *metav1.OwnerReference) { r.Name, r.UID = "gone", "gone" }))
	// A child whose finalizer says how it goes, and a grandchild.
	goes := e.make(cm, "goes", nil)
	child := e.make(cm, "orphans-its-own", []string{"orphan"}, cm.of(goes, true))
	e.make(gadget, "orphan-of-orphans", nil, cm.of(child, true))
	e.delete(cm, "goes", metav1.DeleteOptions{})
	for _, policy := range []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan} {
		name := strings.ToLower(string(policy))
		owner, other := e.make(gadget, name, nil), e.make(cm, name+"-other", nil)
		middle := e.make(cm, name+"-middle", nil, gadget.of(owner, true))
		e.make(gadget, name+"-leaf", nil, cm.of(middle, true))
		e.make(cm, name+"-shared", nil, gadget.of(owner, true), cm.of(other, false))
		e.make(cm, name+"-held", []string{hold}, gadget.of(owner, true))
		e.delete(gadget, name, propagating(policy))
	}
	// A circle.
	a := e.make(cm, "circle-a", nil)
	b := e.make(cm, "circle-b", nil, cm.of(a, true))
	if _, err := e.client.Resource(cm.resource).Namespace("default").Patch(e.t.Context(), "circle-a", types.MergePatchType,
		fmt.Appendf(nil, `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"circle-b","uid":%q,"blockOwnerDeletion":true}]}}`, b.GetUID()), metav1.PatchOptions{}); err != nil {
		e.t.Fatal(err)
	}
	e.settle()
	e.delete(cm, "circle-b", propagating(metav1.DeletePropagationForeground))
}

// garbageLeft is each object with its owners and its finalizers, and whether it is being deleted.
var garbageLeft = []string{
	"ConfigMap another-version [stays] [] false",
	"ConfigMap background-held [background] [example.com/hold] true",
	"ConfigMap background-other [] [] false",
	"ConfigMap background-shared [background-other] [] false",
	"ConfigMap foreground-held [foreground] [example.com/hold] true",
	"ConfigMap foreground-other [] [] false",
	"ConfigMap foreground-shared [foreground-other] [] false",
	"ConfigMap one-is-gone [stays] [example.com/hold] false",
	"ConfigMap orphan-held [] [example.com/hold] false",
	"ConfigMap orphan-middle [] [] false",
	"ConfigMap orphan-other [] [] false",
	"ConfigMap orphan-shared [orphan-other] [] false",
	"ConfigMap right [stays] [] false",
	"ConfigMap stays [] [] false",
	"ConfigMap unknown-kind [stays stays] [] false",
	"Gadget all-are-gone [gone] [example.com/hold] true",
	"Gadget foreground [] [foregroundDeletion] true",
	"Gadget orphan-leaf [orphan-middle] [] false",
	"Gadget orphan-of-orphans [] [] false",
	"Gadget right [stays] [] false",
}

// left returns what the estate has, in the way of garbageLeft.
func (e estate) left(ctx context.Context) ([]string, error) {
	var left []string
	for _, o := range ownedKinds[:2] {
		all, err := e.client.Resource(o.resource).Namespace("default").List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		for _, obj := range all.Items {
			if obj.GetName() == "kube-root-ca.crt" {
				continue
			}
			owners := []string{}
			for _, r := range obj.GetOwnerReferences() {
				owners = append(owners, r.Name)
			}
			left = append(left, fmt.Sprint(o.kind, " ", obj.GetName(), " ", owners, " ", obj.GetFinalizers(), " ", obj.GetDeletionTimestamp() != nil))
		}
	}
	slices.Sort(left)
	return left, nil
}

// A workspace does as a kube-apiserver does with its kube-controller-manager.
func TestGarbage_AsInKubernetes(t *testing.T) {
	s := start(t)
	inWorkspace, _, _ := newEstate(t, s)
	h := host.Start(t, host.WithControllerManager("--kube-api-qps=1000", "--kube-api-burst=1000"))
	apply(t, h.Config(), gadgetCRD)
	_, client := annex.Clients(t, h.Config())
	waitCondition(t, client.Resource(crds), "gadgets.example.org", "Established", "True", "")
	eventually(t, "the host serves gadgets", func(ctx context.Context) (bool, error) {
		_, err := client.Resource(gadgets).List(ctx, metav1.ListOptions{})
		return err == nil || !apierrors.IsNotFound(err), nil
	})
	for name, e := range map[string]estate{"workspace": inWorkspace, "host": {t, client}} {
		t.Run(name, func(t *testing.T) {
			e := estate{t, e.client}
			garbageSteps(e)
			var got []string
			check := func(ctx context.Context) (same bool, err error) {
				left, err := e.left(ctx)
				if err == nil {
					got = left
				}
				return slices.Equal(left, garbageLeft), err
			}
			defer func() {
				if diff := cmp.Diff(garbageLeft, got); diff != "" {
					t.Errorf("what is left differs:\n%s", diff)
				}
			}()
			eventually(t, "everything is as it should be", check)
			e.settle()
			if _, err := check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
