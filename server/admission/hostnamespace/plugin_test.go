package hostnamespace

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/server/admission/namespacelifecycle"
)

const annotation = annexv1alpha1.HostNamespaceUIDAnnotationKey

var accesses = annexv1alpha1.Resource("workspaceaccesses")

// forwarded is the user of requests that the host has forwarded.
var (
	forwarded = &user.DefaultInfo{Name: "alice"}
	direct    = &user.DefaultInfo{Name: "mallory"}
	server    = &user.DefaultInfo{Name: "system:apiserver", Groups: []string{user.SystemPrivilegedGroup}}
)

func newPlugin(t *testing.T, fake *clienttest.Fake, lookup Lookup) *Plugin {
	t.Helper()
	p, err := New(Config{
		Concerns: func(gr schema.GroupResource) bool { return gr == accesses },
		Hosts:    func(cluster logicalcluster.Name) bool { return cluster == "root" },
		ByHost:   func(_ context.Context, u user.Info) bool { return u == forwarded },
		Lookup:   lookup,
		Cached:   fake,
		Writer:   func() client.Writer { return fake },
		Next:     namespacelifecycle.New(fake, fake),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// onHost is a host with the namespaces team-a, and going, which is being deleted.
func onHost(_ context.Context, name string) (*corev1.Namespace, error) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid-1"}}
	switch name {
	case "team-a", "default":
		return ns, nil
	case "going":
		ns.Status.Phase = corev1.NamespaceTerminating
		return ns, nil
	case "secret":
		return nil, apierrors.NewForbidden(namespaces, name, errors.New("no"))
	case "away":
		return nil, errors.New("connection refused")
	}
	return nil, apierrors.NewNotFound(namespaces, name)
}

func access(ns, uid string) *annexv1alpha1.WorkspaceAccess {
	obj := &annexv1alpha1.WorkspaceAccess{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "x"}}
	if uid != "" {
		obj.Annotations = map[string]string{annotation: uid}
	}
	return obj
}

func attributes(obj *annexv1alpha1.WorkspaceAccess, old runtime.Object, u user.Info, dryRun bool) admission.Attributes {
	operation := admission.Create
	if old != nil {
		operation = admission.Update
	}
	gv := annexv1alpha1.SchemeGroupVersion
	return admission.NewAttributesRecord(obj, old, gv.WithKind("WorkspaceAccess"), obj.Namespace, obj.Name, gv.WithResource("workspaceaccesses"), "", operation, nil, dryRun, u)
}

func TestCreate(t *testing.T) {
	for name, tc := range map[string]struct {
		cluster   logicalcluster.Name
		namespace string
		uid       string // written by the user
		user      user.Info
		dryRun    bool
		lookup    Lookup
		is        func(error) bool
		wantUID   string
		wantNew   bool // a Namespace in the host workspace
	}{
		"through the host":                    {cluster: "root", namespace: "team-a", user: forwarded, lookup: onHost, wantUID: "uid-1", wantNew: true},
		"with a forged annotation":            {cluster: "root", namespace: "team-a", uid: "other", user: forwarded, lookup: onHost, wantUID: "uid-1", wantNew: true},
		"by the server":                       {cluster: "root", namespace: "team-a", user: server, lookup: onHost, wantUID: "uid-1", wantNew: true},
		"by the server for this namespace":    {cluster: "root", namespace: "team-a", uid: "uid-1", user: server, lookup: onHost, wantUID: "uid-1", wantNew: true},
		"by the server for an earlier one":    {cluster: "root", namespace: "team-a", uid: "uid-0", user: server, lookup: onHost, is: apierrors.IsForbidden},
		"the same, in a Namespace that stays": {cluster: "root", namespace: "default", uid: "uid-0", user: server, lookup: onHost, is: apierrors.IsForbidden},
		"a dry run":                           {cluster: "root", namespace: "team-a", user: forwarded, dryRun: true, lookup: onHost, wantUID: "uid-1"},
		"in a Namespace that exists":          {cluster: "root", namespace: "default", user: forwarded, lookup: onHost, wantUID: "uid-1"},
		"at the server's own endpoint":        {cluster: "root", namespace: "default", user: direct, lookup: onHost, is: apierrors.IsForbidden},
		"in a namespace of Annex only":        {cluster: "root", namespace: "kube-system", user: forwarded, lookup: onHost, is: apierrors.IsNotFound},
		"in no namespace":                     {cluster: "root", namespace: "none", user: forwarded, lookup: onHost, is: apierrors.IsNotFound},
		"in a namespace of no name":           {cluster: "root", namespace: "../x", user: forwarded, lookup: onHost, is: apierrors.IsNotFound},
		"in a namespace that is deleted":      {cluster: "root", namespace: "going", user: forwarded, lookup: onHost, is: apierrors.IsForbidden},
		"where the server may not look":       {cluster: "root", namespace: "secret", user: forwarded, lookup: onHost, is: apierrors.IsForbidden},
		"while the host is away":              {cluster: "root", namespace: "away", user: forwarded, lookup: onHost, is: apierrors.IsServiceUnavailable},
		"of a host that is never asked":       {cluster: "root", namespace: "team-a", user: forwarded, is: apierrors.IsServiceUnavailable},
		"in another workspace":                {cluster: "c1", namespace: "default", user: direct, lookup: onHost},
		"there with a forged annotation":      {cluster: "c1", namespace: "default", uid: "uid-1", user: direct, lookup: onHost},
		"there in a namespace of the host":    {cluster: "c1", namespace: "team-a", user: direct, lookup: onHost, is: apierrors.IsNotFound},
		"there by who comes through a host":   {cluster: "c1", namespace: "team-a", user: forwarded, lookup: onHost, is: apierrors.IsNotFound},
		"there, with a host that is unknown":  {cluster: "c1", namespace: "default", user: direct},
	} {
		t.Run(name, func(t *testing.T) {
			fake := clienttest.NewFake()
			for _, in := range []logicalcluster.Name{"root", "c1"} {
				for _, ns := range []string{"default", "kube-system"} {
					if _, err := fake.Create(t.Context(), namespaces, in, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}); err != nil {
						t.Fatal(err)
					}
				}
			}
			p := newPlugin(t, fake, tc.lookup)
			ctx := logicalcluster.WithCluster(t.Context(), tc.cluster)
			obj := access(tc.namespace, tc.uid)
			a := attributes(obj, nil, tc.user, tc.dryRun)
			err := p.Admit(ctx, a, nil)
			if err == nil {
				err = p.Validate(ctx, a, nil)
			}
			if tc.is == nil && err != nil || tc.is != nil && !tc.is(err) {
				t.Fatalf("err = %v", err)
			}
			if got := obj.Annotations[annotation]; err == nil && got != tc.wantUID {
				t.Errorf("annotation %q, want %q", got, tc.wantUID)
			}
			ns, _ := client.Find[corev1.Namespace](t.Context(), fake, namespaces, client.Key{Cluster: "root", Name: "team-a"})
			if (ns != nil) != tc.wantNew || ns != nil && ns.Labels[annexv1alpha1.HostNamespaceLabelKey] != "uid-1" {
				t.Errorf("the Namespace in the host workspace is %v", ns)
			}
		})
	}
}

// A webhook of the workspace runs between both looks.
func TestValidate_WhatOthersWrote(t *testing.T) {
	fake := clienttest.NewFake()
	p := newPlugin(t, fake, onHost)
	ctx := logicalcluster.WithCluster(t.Context(), "root")
	obj := access("team-a", "")
	a := attributes(obj, nil, forwarded, false)
	if err := p.Admit(ctx, a, nil); err != nil {
		t.Fatal(err)
	}
	obj.Annotations[annotation] = "other"
	if err := p.Validate(ctx, a, nil); !apierrors.IsForbidden(err) {
		t.Errorf("err = %v", err)
	}
}

func TestUpdate_KeepsTheNamespace(t *testing.T) {
	p := newPlugin(t, clienttest.NewFake(), onHost)
	root := logicalcluster.WithCluster(t.Context(), "root")
	for _, forged := range []string{"", "other"} {
		obj := access("team-a", forged)
		a := attributes(obj, access("team-a", "uid-1"), forwarded, false)
		if err := p.Admit(root, a, nil); err != nil {
			t.Fatal(err)
		}
		if obj.Annotations[annotation] != "uid-1" {
			t.Errorf("the annotation is %q", obj.Annotations[annotation])
		}
		if err := p.Validate(root, a, nil); err != nil {
			t.Error(err)
		}
		obj.Annotations[annotation] = "other"
		if err := p.Validate(root, a, nil); !apierrors.IsForbidden(err) {
			t.Errorf("err = %v", err)
		}
	}
	a := attributes(access("team-a", "uid-1"), access("team-a", "uid-1"), direct, false)
	if err := p.Admit(root, a, nil); !apierrors.IsForbidden(err) {
		t.Errorf("at the server's own endpoint: %v", err)
	}
	obj := access("default", "uid-1")
	if err := p.Admit(logicalcluster.WithCluster(t.Context(), "c1"), attributes(obj, access("default", ""), direct, false), nil); err != nil || obj.Annotations[annotation] != "" {
		t.Errorf("in another workspace: %v, %v", err, obj.Annotations)
	}
}

// What is left of an earlier namespace of the host is not the namespace of new objects.
func TestCreate_AfterAnEarlierNamespace(t *testing.T) {
	fake := clienttest.NewFake()
	earlier := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-a", Labels: map[string]string{annexv1alpha1.HostNamespaceLabelKey: "uid-0"}}}
	if _, err := fake.Create(t.Context(), namespaces, "root", earlier); err != nil {
		t.Fatal(err)
	}
	p := newPlugin(t, fake, onHost)
	ctx := logicalcluster.WithCluster(t.Context(), "root")
	err := p.Admit(ctx, attributes(access("team-a", ""), nil, forwarded, false), nil)
	if seconds, retry := apierrors.SuggestsClientDelay(err); !apierrors.IsServiceUnavailable(err) || !retry || seconds != retryAfter {
		t.Errorf("err = %v", err)
	}
	if ns, _ := client.Find[corev1.Namespace](t.Context(), fake, namespaces, client.Key{Cluster: "root", Name: "team-a"}); ns != nil {
		t.Error("the outdated Namespace is not deleted")
	}
	if err := p.Admit(ctx, attributes(access("team-a", ""), nil, forwarded, false), nil); err != nil {
		t.Error(err)
	}
}
