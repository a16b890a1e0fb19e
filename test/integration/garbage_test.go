package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/annex"
)

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// estate is a workspace whose objects own each other.
type estate struct {
	t      *testing.T
	client dynamic.Interface
}

// owned is one of the kinds that garbage is collected of.
type owned struct {
	resource schema.GroupVersionResource
	kind     string
}

// ownedKinds are a built-in, one of a CRD, and a bound one.
var ownedKinds = []owned{{configMaps, "ConfigMap"}, {gadgets, "Gadget"}, {widgets, "Widget"}}

// newEstate makes a workspace that serves all of ownedKinds.
func newEstate(t *testing.T, s *annex.Server) (e estate, path, cluster string) {
	t.Helper()
	producer := workspace(t, s)
	apply(t, s.Workspace(producer), widgetSchema)
	apply(t, s.Workspace(producer), widgetExport)
	path, cluster = newWorkspace(t, s, "root", uniqueName("ws"))
	apply(t, s.Workspace(path), gadgetCRD)
	apply(t, s.Workspace(path), binding("widgets", producer, "widgets"))
	_, client := annex.Clients(t, s.Workspace(path))
	waitCondition(t, client.Resource(bindings), "widgets", "Ready", "True", "")
	waitCondition(t, client.Resource(crds), "gadgets.example.org", "Established", "True", "")
	return estate{t, client}, path, cluster
}

// of returns a reference to obj as an owner.
func (o owned) of(obj *unstructured.Unstructured, blocks bool) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: o.resource.GroupVersion().String(), Kind: o.kind, Name: obj.GetName(), UID: obj.GetUID(), BlockOwnerDeletion: &blocks}
}

func (e estate) make(o owned, name string, finalizers []string, owners ...metav1.OwnerReference) *unstructured.Unstructured {
	e.t.Helper()
	obj := parse(e.t, fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: default}", o.resource.GroupVersion(), o.kind, name))
	obj.SetOwnerReferences(owners)
	obj.SetFinalizers(finalizers)
	made, err := e.client.Resource(o.resource).Namespace("default").Create(e.t.Context(), obj, metav1.CreateOptions{})
	if err != nil {
		e.t.Fatal(err)
	}
	return made
}

func (e estate) delete(o owned, name string, options metav1.DeleteOptions) {
	e.t.Helper()
	if err := e.client.Resource(o.resource).Namespace("default").Delete(e.t.Context(), name, options); err != nil {
		e.t.Fatal(err)
	}
}

// get returns an object, nil if there is none.
func (e estate) get(o owned, name string) *unstructured.Unstructured {
	e.t.Helper()
	obj, err := e.client.Resource(o.resource).Namespace("default").Get(e.t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		e.t.Fatal(err)
	}
	return obj
}

func (e estate) awaitGone(o owned, names ...string) {
	e.t.Helper()
	for _, name := range names {
		eventually(e.t, o.kind+" "+name+" is gone", func(context.Context) (bool, error) { return e.get(o, name) == nil, nil })
	}
}

func (e estate) awaitOwners(o owned, name string, owners ...string) {
	e.t.Helper()
	eventually(e.t, fmt.Sprintf("%s %s has the owners %q", o.kind, name, owners), func(context.Context) (bool, error) {
		obj := e.get(o, name)
		if obj == nil {
			return false, fmt.Errorf("%s is gone", name)
		}
		names := []string{}
		for _, r := range obj.GetOwnerReferences() {
			names = append(names, r.Name)
		}
		return slices.Equal(names, owners), nil
	})
}

func (e estate) letGo(o owned, name string) {
	e.t.Helper()
	eventually(e.t, "finalizers are removed from "+name, func(context.Context) (bool, error) {
		obj := e.get(o, name)
		obj.SetFinalizers(nil)
		_, err := e.client.Resource(o.resource).Namespace("default").Update(e.t.Context(), obj, metav1.UpdateOptions{})
		return err == nil, ignoreConflict(err)
	})
}

func ignoreConflict(err error) error {
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// settle returns when the collector has seen what was done before: it works on an object that is made now.
func (e estate) settle() {
	e.t.Helper()
	name := uniqueName("settle")
	e.make(ownedKinds[0], name, nil, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "nobody", UID: "nobody"})
	e.awaitGone(ownedKinds[0], name)
}

func propagating(policy metav1.DeletionPropagation) metav1.DeleteOptions {
	return metav1.DeleteOptions{PropagationPolicy: &policy}
}

func TestGarbage_AllKindsOwnAllKinds(t *testing.T) {
	s := start(t)
	e, _, _ := newEstate(t, s)
	const hold = "example.com/hold"
	for _, owner := range ownedKinds {
		t.Run(owner.kind, func(t *testing.T) {
			e := estate{t, e.client}
			prefix := strings.ToLower(owner.kind) + "-"
			// In the background.
			o, other := e.make(owner, prefix+"background", nil), e.make(owner, prefix+"other", nil)
			for _, d := range ownedKinds {
				e.make(d, prefix+"gone", nil, owner.of(o, true))
				e.make(d, prefix+"stays", nil, owner.of(o, true), owner.of(other, true))
			}
			e.delete(owner, o.GetName(), metav1.DeleteOptions{})
			for _, d := range ownedKinds {
				e.awaitGone(d, prefix+"gone")
				e.awaitOwners(d, prefix+"stays", prefix+"other")
			}
			// As orphans, in both ways to say so.
			yes := true
			for name, options := range map[string]metav1.DeleteOptions{"orphan": propagating(metav1.DeletePropagationOrphan), "old-orphan": {OrphanDependents: &yes}} {
				o = e.make(owner, prefix+name, nil)
				for _, d := range ownedKinds {
					e.make(d, prefix+name+"-left", nil, owner.of(o, true))
				}
				e.delete(owner, o.GetName(), options)
				e.awaitGone(owner, o.GetName())
				for _, d := range ownedKinds {
					e.awaitOwners(d, prefix+name+"-left")
				}
			}
			// In the foreground.
			o = e.make(owner, prefix+"foreground", nil)
			for _, d := range ownedKinds {
				e.make(d, prefix+"held", []string{hold}, owner.of(o, true))
				e.make(d, prefix+"not-blocking", nil, owner.of(o, false))
			}
			e.delete(owner, o.GetName(), propagating(metav1.DeletePropagationForeground))
			for i, d := range ownedKinds {
				e.awaitGone(d, prefix+"not-blocking")
				eventually(t, d.kind+" is being deleted", func(context.Context) (bool, error) { return e.get(d, prefix+"held").GetDeletionTimestamp() != nil, nil })
				if e.get(owner, o.GetName()) == nil {
					t.Fatalf("the owner is gone before %d of its dependents", len(ownedKinds)-i)
				}
				e.letGo(d, prefix+"held")
				e.awaitGone(d, prefix+"held")
			}
			e.awaitGone(owner, o.GetName())
		})
	}
}

func TestGarbage_OwnersThatAreNotThere(t *testing.T) {
	s := start(t)
	e, path, _ := newEstate(t, s)
	cm := ownedKinds[0]
	nobody := func(apiVersion, kind, name, uid string) metav1.OwnerReference {
		ref := cm.of(&unstructured.Unstructured{}, true)
		ref.APIVersion, ref.Kind, ref.Name = apiVersion, kind, name
		ref.UID = "uid-" + "x"
		if uid != "" {
			ref.UID = e.get(cm, uid).GetUID()
		}
		return ref
	}
	e.make(cm, "owner", nil)
	later := strings.NewReplacer("gadget", "later", "Gadget", "Later", "shortNames: [gd], ", "").Replace(gadgetCRD)
	e.make(cm, "another-uid", nil, nobody("v1", "ConfigMap", "owner", ""))
	e.make(cm, "another-name", nil, nobody("v1", "ConfigMap", "nobody", "owner"))
	e.make(cm, "another-kind", nil, nobody("v1", "Secret", "owner", "owner"))
	e.make(cm, "right", nil, nobody("v1", "ConfigMap", "owner", "owner"))
	e.make(cm, "kind-to-come", nil, nobody("example.org/v1", "Later", "owner", ""))
	e.make(cm, "version-to-come", nil, nobody("example.org/v9", "Gadget", "owner", ""))
	e.make(cm, "kind-to-come-too", nil, nobody("example.org/v1", "Later", "owner", ""), nobody("v1", "ConfigMap", "owner", ""))
	e.awaitGone(cm, "another-uid", "another-name", "another-kind")
	e.settle()
	for _, name := range []string{"right", "kind-to-come", "version-to-come"} {
		if e.get(cm, name) == nil {
			t.Errorf("%s is gone", name)
		}
	}
	e.awaitOwners(cm, "kind-to-come-too", "owner", "owner")
	apply(t, s.Workspace(path), later)
	e.awaitGone(cm, "kind-to-come", "kind-to-come-too")

	// Kinds in namespaces do not own what is in none, and nobody owns across namespaces.
	typed, _ := annex.Clients(t, s.Workspace(path))
	apply(t, s.Workspace(path), "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}")
	apply(t, s.Workspace(path), fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: cluster-scoped, ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: owner, uid: %q}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: across, namespace: other, ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: owner, uid: %[1]q}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: of-nobody, ownerReferences: [{apiVersion: v1, kind: Namespace, name: other, uid: nobody}]}`, e.get(cm, "owner").GetUID()))
	for namespace, name := range map[string]string{"default": "cluster-scoped", "other": "across"} {
		eventually(t, "an event is about "+name, func(ctx context.Context) (bool, error) {
			all, err := typed.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=OwnerRefInvalidNamespace,involvedObject.name=" + name})
			return err == nil && len(all.Items) == 1 && all.Items[0].InvolvedObject.Kind != "", err
		})
	}
	eventually(t, "what is in another namespace than its owner is gone", func(ctx context.Context) (bool, error) {
		_, err := typed.CoreV1().ConfigMaps("other").Get(ctx, "across", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	eventually(t, "a ClusterRole of nobody is gone", func(ctx context.Context) (bool, error) {
		_, err := typed.RbacV1().ClusterRoles().Get(ctx, "of-nobody", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if _, err := typed.RbacV1().ClusterRoles().Get(t.Context(), "cluster-scoped", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	// A namespace owns like anything else, and what is in it does not keep its deletion up.
	ns, err := typed.CoreV1().Namespaces().Get(t.Context(), "other", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s.Workspace(path), fmt.Sprintf(`
apiVersion: v1
kind: ConfigMap
metadata: {name: of-namespace, namespace: default, ownerReferences: [{apiVersion: v1, kind: Namespace, name: other, uid: %q, blockOwnerDeletion: true}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: inside, namespace: other, ownerReferences: [{apiVersion: v1, kind: Namespace, name: other, uid: %[1]q, blockOwnerDeletion: true}]}`, ns.UID))
	if err := typed.CoreV1().Namespaces().Delete(t.Context(), "other", propagating(metav1.DeletePropagationForeground)); err != nil {
		t.Fatal(err)
	}
	e.awaitGone(cm, "of-namespace")
	eventually(t, "the namespace is gone", func(ctx context.Context) (bool, error) {
		_, err := typed.CoreV1().Namespaces().Get(ctx, "other", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

// copyTo stores the object of one cluster in another one too, with its UID, as no request can.
func copyTo(t *testing.T, etcd *clientv3.Client, from, to, name string) {
	t.Helper()
	all, err := etcd.Get(t.Context(), "/annex/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range all.Kvs {
		if key := string(kv.Key); strings.HasSuffix(key, "/"+from+"/default/"+name) {
			if _, err := etcd.Put(t.Context(), strings.Replace(key, "/"+from+"/", "/"+to+"/", 1), string(kv.Value)); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no %s in %s", name, from)
}

// An owner reference means an object of its own workspace, even if an object in another one has the same name and UID.
func TestGarbage_IsOfOneWorkspace(t *testing.T) {
	s := start(t)
	etcd := etcdOf(t, s)
	one, _, oneCluster := newEstate(t, s)
	two, _, twoCluster := newEstate(t, s)
	for _, o := range ownedKinds[:2] { // the identities of bound APIs differ
		prefix := strings.ToLower(o.kind) + "-"
		owner := one.make(o, prefix+"owner", nil)
		one.make(o, prefix+"dependent", nil, o.of(owner, true))
		foreground := one.make(o, prefix+"foreground", nil)
		for _, name := range []string{"owner", "foreground", "dependent"} {
			copyTo(t, etcd, oneCluster, twoCluster, prefix+name)
		}
		two.make(o, prefix+"waits", nil, o.of(foreground, true))
		two.settle()
		one.delete(o, prefix+"owner", metav1.DeleteOptions{})
		one.delete(o, prefix+"foreground", propagating(metav1.DeletePropagationForeground))
		one.awaitGone(o, prefix+"dependent", prefix+"foreground")
		two.settle()
		two.awaitOwners(o, prefix+"dependent", prefix+"owner")
		two.awaitOwners(o, prefix+"waits", prefix+"foreground")
		// An owner that is only in the other workspace is none.
		two.delete(o, prefix+"owner", metav1.DeleteOptions{})
		two.awaitGone(o, prefix+"dependent")
		alien := two.make(o, prefix+"alien", nil)
		one.make(o, prefix+"of-alien", nil, o.of(alien, true))
		one.awaitGone(o, prefix+"of-alien")
	}
}

// The administrator of a workspace may change its LogicalCluster, but not delete it, nor have the collector do that.
func TestGarbage_NeverTakesTheWorkspaceItself(t *testing.T) {
	s := start(t)
	path, _ := newWorkspace(t, s, "root", uniqueName("ws"))
	admit(t, s, path, alice)
	_, client := annex.Clients(t, s.As(token(alice), path))
	const nobody = `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Namespace","name":"nobody","uid":"nobody"}],"finalizers":["example.com/hold"]}}`
	if _, err := client.Resource(clusters).Patch(t.Context(), "cluster", types.MergePatchType, []byte(nobody), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	estate{t, client}.settle()
	lc, err := client.Resource(clusters).Get(t.Context(), "cluster", metav1.GetOptions{})
	if err != nil || lc.GetDeletionTimestamp() != nil || len(lc.GetOwnerReferences()) != 1 {
		t.Errorf("the LogicalCluster is %v, %v", lc, err)
	}
}

func TestGarbage_KubectlCascades(t *testing.T) {
	s := start(t)
	e, path, _ := newEstate(t, s)
	cm := ownedKinds[0]
	for _, cascade := range []string{"foreground", "background", "orphan"} {
		for _, o := range ownedKinds {
			name := cascade + "-" + strings.ToLower(o.kind)
			owner := e.make(o, name, nil)
			e.make(cm, name+"-dependent", nil, o.of(owner, true))
			s.Kubectl(path, "", "delete", strings.ToLower(o.kind), name, "--cascade="+cascade)
			dependent := e.get(cm, name+"-dependent")
			switch {
			case cascade == "foreground" && dependent != nil:
				t.Errorf("kubectl is done with %s before its dependent", name)
			case cascade == "orphan":
				e.awaitOwners(cm, name+"-dependent")
			default:
				e.awaitGone(cm, name+"-dependent")
			}
		}
	}
}

// A server that starts finds what others left: half of a deletion, and objects whose owners are gone.
func TestGarbage_GoesOnAfterARestart(t *testing.T) {
	flags := []string{"--run-controllers=false"}
	etcd := annex.StartEtcd(t)
	flags = append(flags, "--etcd-servers", etcd.URL())
	s := annex.Start(t, flags[1:]...)
	e, path, _ := newEstate(t, s)
	cm := ownedKinds[0]
	for _, o := range ownedKinds {
		owner := e.make(o, "foreground", nil)
		for _, d := range ownedKinds {
			e.make(d, "held-by-"+strings.ToLower(o.kind), []string{"example.com/hold"}, o.of(owner, true))
		}
		e.delete(o, "foreground", propagating(metav1.DeletePropagationForeground))
	}
	eventually(t, "the deletion has begun", func(context.Context) (bool, error) {
		return e.get(cm, "held-by-gadget").GetDeletionTimestamp() != nil, nil
	})
	s.Stop()

	idle := annex.Start(t, flags...)
	_, client := annex.Clients(t, idle.Workspace(path))
	e = estate{t, client}
	for _, o := range ownedKinds {
		suffix := "-of-" + strings.ToLower(o.kind)
		owner, orphans := e.make(o, "goes", nil), e.make(o, "orphans", nil)
		for _, d := range ownedKinds {
			e.make(d, "dangling"+suffix, nil, o.of(owner, true))
			e.make(d, "orphan"+suffix, nil, o.of(orphans, true))
			e.letGo(d, "held-by-"+strings.ToLower(o.kind))
		}
		e.delete(o, "goes", metav1.DeleteOptions{})
		e.delete(o, "orphans", propagating(metav1.DeletePropagationOrphan))
	}
	idle.Stop()

	last := annex.Start(t, flags[1:]...)
	_, client = annex.Clients(t, last.Workspace(path))
	e = estate{t, client}
	for _, o := range ownedKinds {
		e.awaitGone(o, "foreground", "orphans")
		for _, d := range ownedKinds {
			e.awaitGone(d, "dangling-of-"+strings.ToLower(o.kind))
			e.awaitOwners(d, "orphan-of-"+strings.ToLower(o.kind))
		}
	}
	last.Stop()
	for _, server := range []*annex.Server{s, last} {
		for line := range strings.Lines(server.Log()) {
			if strings.Contains(line, "garbage") {
				t.Errorf("it logged %s", line)
			}
		}
	}
}
