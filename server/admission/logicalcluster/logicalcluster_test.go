package logicalcluster

import (
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/annex-dev/annex/apis/core/lifecycle"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	cluster "github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/rbac/inheritance"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/admission/request"
)

var (
	alice  = &user.DefaultInfo{Name: "alice", Groups: []string{"system:authenticated"}}
	admin  = &user.DefaultInfo{Name: "x", Groups: []string{request.LogicalClusterAdmin}}
	master = &user.DefaultInfo{Name: "system:apiserver", Groups: []string{user.SystemPrivilegedGroup}}
	// heiress may inherit in the cluster orgid, as heir knows.
	heiress = &user.DefaultInfo{Name: "heiress", Groups: []string{"system:authenticated"}}
	heir    = policy.New(clienttest.NewFake(
		clienttest.In("orgid", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "inheritor"}, Rules: []rbacv1.PolicyRule{
			{Verbs: []string{"inherit"}, APIGroups: []string{corev1alpha1.GroupName}, Resources: []string{"logicalclusters"}}}}),
		clienttest.In("orgid", &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "inheritor"},
			RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "inheritor"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "heiress"}}}),
	), nil)
)

func newCluster(changes ...func(*corev1alpha1.LogicalCluster)) *corev1alpha1.LogicalCluster {
	lc := &corev1alpha1.LogicalCluster{
		ObjectMeta: metav1.ObjectMeta{
			Name:        "cluster",
			Finalizers:  []string{corev1alpha1.LogicalClusterDeletionFinalizer},
			Annotations: map[string]string{corev1alpha1.LogicalClusterTypeAnnotationKey: "root:universal"},
		},
		Spec: corev1alpha1.LogicalClusterSpec{
			CreatedBy: &authenticationv1.UserInfo{Username: "alice"},
			Owner:     &corev1alpha1.LogicalClusterOwner{Name: "org", Cluster: "root", UID: "1"},
		},
		Status: corev1alpha1.LogicalClusterStatus{Phase: corev1alpha1.LogicalClusterPhaseReady},
	}
	for _, change := range changes {
		change(lc)
	}
	return lc
}

func attributes(lc, old *corev1alpha1.LogicalCluster, op admission.Operation, subresource string, by user.Info) admission.Attributes {
	var is, was runtime.Object
	if lc != nil {
		is = lc
	}
	if old != nil {
		was = old
	}
	return admission.NewAttributesRecord(is, was, corev1alpha1.SchemeGroupVersion.WithKind("LogicalCluster"), "", "cluster",
		corev1alpha1.SchemeGroupVersion.WithResource("logicalclusters"), subresource, op, nil, false, by)
}

func TestRules(t *testing.T) {
	type change = func(*corev1alpha1.LogicalCluster)
	same := change(func(*corev1alpha1.LogicalCluster) {})
	deletable := change(func(lc *corev1alpha1.LogicalCluster) { lc.Spec.DirectlyDeletable = true })
	phase := func(p corev1alpha1.LogicalClusterPhaseType) change {
		return func(lc *corev1alpha1.LogicalCluster) { lc.Status.Phase = p }
	}
	off := change(func(lc *corev1alpha1.LogicalCluster) {
		lc.Annotations[corev1alpha1.LogicalClusterInactiveAnnotationKey] = "true"
	})
	inherits := func(value string) change {
		return func(lc *corev1alpha1.LogicalCluster) { lc.Annotations[inheritance.AnnotationKey] = value }
	}
	for name, tc := range map[string]struct {
		in          cluster.Name
		op          admission.Operation
		old, is     change
		subresource string
		by          user.Info
		refused     bool
	}{
		"user creates":             {op: admission.Create, is: same, by: alice, refused: true},
		"system creates":           {op: admission.Create, is: same, by: master},
		"internal group creates":   {op: admission.Create, is: same, by: admin},
		"user deletes":             {op: admission.Delete, old: same, by: alice, refused: true},
		"user deletes what he may": {op: admission.Delete, old: deletable, by: alice},
		"system deletes":           {op: admission.Delete, old: same, by: master},
		"nobody deletes root":      {in: "root", op: admission.Delete, old: deletable, by: master, refused: true},
		"label":                    {op: admission.Update, old: same, is: func(lc *corev1alpha1.LogicalCluster) { lc.Labels = map[string]string{"a": "b"} }, by: alice},
		"creator":                  {op: admission.Update, old: same, is: func(lc *corev1alpha1.LogicalCluster) { lc.Spec.CreatedBy.Username = "bob" }, by: alice, refused: true},
		"creator, by the system":   {op: admission.Update, old: same, is: func(lc *corev1alpha1.LogicalCluster) { lc.Spec.CreatedBy.Username = "bob" }, by: master},
		"owner":                    {op: admission.Update, old: same, is: func(lc *corev1alpha1.LogicalCluster) { lc.Spec.Owner.UID = "2" }, by: alice, refused: true},
		"initializers": {op: admission.Update, old: same, is: func(lc *corev1alpha1.LogicalCluster) {
			lc.Spec.Initializers = []corev1alpha1.LogicalClusterInitializer{"root:x"}
		}, by: alice, refused: true},
		"directly deletable":                {op: admission.Update, old: same, is: deletable, by: alice, refused: true},
		"directly deletable, and no longer": {op: admission.Update, old: deletable, is: same, by: alice, refused: true},
		"directly deletable, by the system": {op: admission.Update, old: same, is: deletable, by: master},
		"type": {op: admission.Update, old: same, is: func(lc *corev1alpha1.LogicalCluster) {
			lc.Annotations[corev1alpha1.LogicalClusterTypeAnnotationKey] = "root:root"
		}, by: alice, refused: true},
		"required groups":                           {op: admission.Update, old: same, is: func(lc *corev1alpha1.LogicalCluster) { lc.Annotations[corev1alpha1.RequiredGroupsAnnotationKey] = "x" }, by: alice, refused: true},
		"limit of objects":                          {op: admission.Update, old: same, is: func(lc *corev1alpha1.LogicalCluster) { lc.Annotations[corev1alpha1.MaxTotalObjectsAnnotationKey] = "0" }, by: alice, refused: true},
		"limit of bytes":                            {op: admission.Update, old: same, is: func(lc *corev1alpha1.LogicalCluster) { lc.Annotations[corev1alpha1.MaxTotalBytesAnnotationKey] = "0" }, by: alice, refused: true},
		"clusters of the types":                     {op: admission.Update, old: same, is: func(lc *corev1alpha1.LogicalCluster) { lc.Annotations[corev1alpha1.TypeClustersAnnotationKey] = "mine" }, by: alice, refused: true},
		"limits of the type":                        {op: admission.Update, old: same, is: func(lc *corev1alpha1.LogicalCluster) { lc.Annotations[corev1alpha1.TypeLimitsAnnotationKey] = "{}" }, by: alice, refused: true},
		"limit of objects, by the system":           {op: admission.Update, old: same, is: func(lc *corev1alpha1.LogicalCluster) { lc.Annotations[corev1alpha1.MaxTotalObjectsAnnotationKey] = "0" }, by: master},
		"inactive when ready":                       {op: admission.Update, old: same, is: off, by: alice},
		"inactive while initializing":               {op: admission.Update, old: phase(corev1alpha1.LogicalClusterPhaseInitializing), is: off, by: alice, refused: true},
		"refuses what it inherits":                  {op: admission.Update, old: same, is: inherits("false"), by: alice},
		"refuses with another word":                 {op: admission.Update, old: inherits("false"), is: inherits("true"), by: alice, refused: true},
		"accepts what it inherits again":            {op: admission.Update, old: inherits("false"), is: same, by: alice, refused: true},
		"accepts it by way of the status":           {op: admission.Update, subresource: "status", old: inherits("false"), is: same, by: alice, refused: true},
		"accepts it by the verb":                    {op: admission.Update, old: inherits("false"), is: same, by: heiress},
		"accepts it by the verb in another cluster": {op: admission.Update, in: "elsewhere", old: inherits("false"), is: same, by: heiress, refused: true},
		"accepts it, the system":                    {op: admission.Update, old: inherits("false"), is: same, by: master},
		"phase forward":                             {op: admission.Update, subresource: "status", old: phase(corev1alpha1.LogicalClusterPhaseInitializing), is: same, by: alice},
		"phase back":                                {op: admission.Update, subresource: "status", old: same, is: phase(corev1alpha1.LogicalClusterPhaseInitializing), by: alice, refused: true},
		"phase back, by the system":                 {op: admission.Update, subresource: "status", old: same, is: phase(corev1alpha1.LogicalClusterPhaseInitializing), by: master},
		"phase from inactive to ready":              {op: admission.Update, subresource: "status", old: phase(corev1alpha1.LogicalClusterPhaseInactive), is: same, by: alice},
	} {
		t.Run(name, func(t *testing.T) {
			in := tc.in
			if in == "" {
				in = "orgid"
			}
			var is, old *corev1alpha1.LogicalCluster
			if tc.old != nil {
				old = newCluster(tc.old)
			}
			if tc.is != nil {
				is = newCluster(tc.is)
			}
			ctx := cluster.WithCluster(t.Context(), in)
			err := NewRules(heir).(admission.ValidationInterface).Validate(ctx, attributes(is, old, tc.op, tc.subresource, tc.by), nil)
			if tc.refused != apierrors.IsForbidden(err) || (!tc.refused && err != nil) {
				t.Errorf("got %v, want refused %v", err, tc.refused)
			}
		})
	}
}

// An initializer can remove itself and nothing else, whoever it is.
func TestRules_Releases(t *testing.T) {
	type status = corev1alpha1.LogicalClusterStatus
	waiting := func(lc *corev1alpha1.LogicalCluster) {
		lc.Status = status{Phase: corev1alpha1.LogicalClusterPhaseInitializing, Initializers: []corev1alpha1.LogicalClusterInitializer{"a:x", "b:y"}}
	}
	without := func(lc *corev1alpha1.LogicalCluster) {
		waiting(lc)
		lc.Status.Initializers = lc.Status.Initializers[1:]
	}
	for name, tc := range map[string]struct {
		release         lifecycle.Release
		old, is         func(*corev1alpha1.LogicalCluster)
		op              admission.Operation
		subresource     string
		by              user.Info
		want            func(error) bool
		path            string
		nothingIsWanted bool
	}{
		"itself":               {release: lifecycle.Release{Initializer: "a:x"}, old: waiting, is: without, op: admission.Update, subresource: "status", by: alice, nothingIsWanted: true},
		"another":              {release: lifecycle.Release{Initializer: "b:y"}, old: waiting, is: without, op: admission.Update, subresource: "status", by: alice, want: apierrors.IsInvalid, path: "status.initializers"},
		"another, by a master": {release: lifecycle.Release{Initializer: "b:y"}, old: waiting, is: without, op: admission.Update, subresource: "status", by: master, want: apierrors.IsInvalid, path: "status.initializers"},
		"one that has left":    {release: lifecycle.Release{Initializer: "a:x"}, old: without, is: without, op: admission.Update, subresource: "status", by: alice, want: apierrors.IsNotFound},
		"the object":           {release: lifecycle.Release{Initializer: "a:x"}, old: waiting, is: without, op: admission.Update, by: master, want: apierrors.IsForbidden},
		"deletion":             {release: lifecycle.Release{Initializer: "a:x"}, old: waiting, op: admission.Delete, by: master, want: apierrors.IsForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			var is *corev1alpha1.LogicalCluster
			if tc.is != nil {
				is = newCluster(tc.is)
			}
			a := attributes(is, newCluster(tc.old), tc.op, tc.subresource, tc.by)
			err := NewRules(heir).(admission.MutationInterface).Admit(WithRelease(t.Context(), tc.release), a, nil)
			switch {
			case tc.nothingIsWanted && err != nil, !tc.nothingIsWanted && (err == nil || !tc.want(err)):
				t.Errorf("got %v", err)
			case tc.path != "" && !strings.Contains(err.Error(), tc.path):
				t.Errorf("%v does not name %s", err, tc.path)
			}
			if err := NewRules(heir).(admission.MutationInterface).Admit(t.Context(), a, nil); err != nil {
				t.Errorf("without a release: %v", err)
			}
		})
	}
}

func TestGuard(t *testing.T) {
	bare := func() *corev1alpha1.LogicalCluster {
		return newCluster(func(lc *corev1alpha1.LogicalCluster) { lc.Finalizers = []string{"example.com/other"} })
	}
	for name, tc := range map[string]struct {
		lc, old *corev1alpha1.LogicalCluster
		op      admission.Operation
		by      user.Info
		want    bool
	}{
		"created with it":              {bare(), nil, admission.Create, master, true},
		"user leaves it out":           {bare(), newCluster(), admission.Update, alice, true},
		"internal group leaves it out": {bare(), newCluster(), admission.Update, admin, true},
		"system takes it away":         {bare(), newCluster(), admission.Update, master, false},
		"it was gone before":           {bare(), bare(), admission.Update, alice, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := NewGuard().(admission.MutationInterface).Admit(t.Context(), attributes(tc.lc, tc.old, tc.op, "", tc.by), nil); err != nil {
				t.Fatal(err)
			}
			if got := slices.Contains(tc.lc.Finalizers, corev1alpha1.LogicalClusterDeletionFinalizer); got != tc.want {
				t.Errorf("has the finalizer: %v, want %v", got, tc.want)
			}
			if !slices.Contains(tc.lc.Finalizers, "example.com/other") {
				t.Error("another finalizer was lost")
			}
		})
	}
}

func TestGuard_Workspaces(t *testing.T) {
	old := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Finalizers: []string{corev1alpha1.LogicalClusterFinalizer}}}
	ws := &tenancyv1alpha1.Workspace{}
	a := admission.NewAttributesRecord(ws, old, tenancyv1alpha1.SchemeGroupVersion.WithKind("Workspace"), "", "x",
		tenancyv1alpha1.SchemeGroupVersion.WithResource("workspaces"), "", admission.Update, nil, false, alice)
	if err := NewGuard().(admission.MutationInterface).Admit(t.Context(), a, nil); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(ws.Finalizers, corev1alpha1.LogicalClusterFinalizer) {
		t.Error("a user let the logical cluster of a workspace go")
	}
}
