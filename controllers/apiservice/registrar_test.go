package apiservice

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/fake"
	"k8s.io/utils/ptr"
)

var (
	tenancy  = schema.GroupVersion{Group: "tenancy.kcp.io", Version: "v1alpha1"}
	topology = schema.GroupVersion{Group: "topology.kcp.io", Version: "v1alpha1"}
	widgets  = schema.GroupVersion{Group: "example.com", Version: "v1"}
	gadgets  = schema.GroupVersion{Group: "example.com", Version: "v2"}
)

// world is a registrar on a host that is a fake.
type world struct {
	t      *testing.T
	client *fake.Clientset
	*Registrar

	lock    sync.Mutex
	pem     string
	changed chan struct{}
}

func anchor() *apiregistrationv1.APIService {
	return &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: DefaultAnchor, UID: "anchor-uid"},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: tenancy.Group, Version: tenancy.Version, GroupPriorityMinimum: 1000, VersionPriority: 100,
			Service: &apiregistrationv1.ServiceReference{Namespace: "annex-system", Name: "annex", Port: ptr.To[int32](443)},
		},
	}
}

// registered returns an APIService as a registrar makes it, wanted by owners.
func registered(gv schema.GroupVersion, owners ...string) *apiregistrationv1.APIService {
	s := like(anchor(), gv, []byte("old"), owners)
	s.UID = types.UID(s.Name)
	return s
}

func start(t *testing.T, objects ...runtime.Object) *world {
	t.Helper()
	w := &world{t: t, client: fake.NewSimpleClientset(objects...), pem: "ca", changed: make(chan struct{})}
	w.run()
	return w
}

func (w *world) run() { w.runWith(w.t.Context()) }

func (w *world) runWith(ctx context.Context) {
	w.t.Helper()
	var err error
	w.Registrar, err = New(Config{
		Client: w.client, Anchor: DefaultAnchor, Static: []schema.GroupVersion{tenancy, topology},
		CABundle: func() ([]byte, <-chan struct{}) {
			w.lock.Lock()
			defer w.lock.Unlock()
			return []byte(w.pem), w.changed
		},
		Covers: func(name string) error {
			if name != "annex.annex-system.svc" {
				return errors.New("only for annex.annex-system.svc")
			}
			return nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); _ = w.Run(ctx) }()
	w.t.Cleanup(func() { cancel(); <-done })
}

func (w *world) setBundle(pem string) {
	w.lock.Lock()
	defer w.lock.Unlock()
	old := w.changed
	w.pem, w.changed = pem, make(chan struct{})
	close(old)
}

func (w *world) get(gv schema.GroupVersion) *apiregistrationv1.APIService {
	w.t.Helper()
	s, err := w.client.ApiregistrationV1().APIServices().Get(w.t.Context(), nameOf(gv), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	if err := wait.PollUntilContextTimeout(w.t.Context(), 5*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) { return ok(), nil }); err != nil {
		list, _ := w.client.ApiregistrationV1().APIServices().List(w.t.Context(), metav1.ListOptions{})
		names := map[string]string{}
		for _, s := range list.Items {
			names[s.Name] = string(s.Spec.CABundle)
		}
		w.t.Fatalf("%s: %v; there are %v", what, err, names)
	}
}

// settled waits until the registrar has looked at everything that happened before.
func (w *world) settled() {
	w.t.Helper()
	marker := schema.GroupVersion{Group: fmt.Sprintf("marker-%d.example.com", time.Now().UnixNano()), Version: "v1"}
	w.Want(marker.Group, []schema.GroupVersion{marker})
	w.eventually("a later wish", func() bool { return w.get(marker) != nil })
	w.Want(marker.Group, nil)
	w.eventually("a later wish taken back", func() bool { return w.get(marker) == nil })
}

func TestRegistrar_RegistersAfterTheAnchor(t *testing.T) {
	w := start(t, anchor())
	w.Want("hostbinding/widgets", []schema.GroupVersion{widgets, gadgets})
	for _, gv := range []schema.GroupVersion{topology, widgets, gadgets} {
		w.eventually(gv.String(), func() bool { return w.State(gv).Phase == Registered })
		s := w.get(gv)
		if s.Spec.Group != gv.Group || s.Spec.Version != gv.Version || *s.Spec.Service.Port != 443 || s.Spec.Service.Name != "annex" || string(s.Spec.CABundle) != "ca" {
			t.Errorf("%s is registered as %+v", gv, s.Spec)
		}
		if len(s.OwnerReferences) != 1 || s.OwnerReferences[0] != ownerReference(anchor()) {
			t.Errorf("%s belongs to %v", gv, s.OwnerReferences)
		}
	}
	if s := w.get(tenancy); string(s.Spec.CABundle) != "ca" || s.Labels[AnchorLabel] != "" || len(s.OwnerReferences) > 0 {
		t.Errorf("the anchor is %+v", s)
	}
	w.Want("hostbinding/widgets", []schema.GroupVersion{gadgets})
	w.eventually("removal", func() bool { return w.get(widgets) == nil })
	if w.get(gadgets) == nil || w.State(widgets).Phase != Pending {
		t.Errorf("after the removal of one: %v, %v", w.get(gadgets), w.State(widgets))
	}
}

func TestRegistrar_FollowsBundleServiceAndAvailability(t *testing.T) {
	w := start(t, anchor())
	w.eventually("registration", func() bool { return w.State(topology).Phase == Registered })
	told := make(chan struct{}, 100)
	remove := w.OnChange(func() { told <- struct{}{} })
	defer remove()

	w.setBundle("old and new")
	for _, gv := range []schema.GroupVersion{tenancy, topology} {
		w.eventually("the new bundle", func() bool { return string(w.get(gv).Spec.CABundle) == "old and new" })
	}
	moved := w.get(tenancy)
	moved.Spec.Service.Port = ptr.To[int32](8443)
	if _, err := w.client.ApiregistrationV1().APIServices().Update(t.Context(), moved, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.eventually("the new port", func() bool { return *w.get(topology).Spec.Service.Port == 8443 })

	s := w.get(topology)
	s.Status.Conditions = []apiregistrationv1.APIServiceCondition{{Type: apiregistrationv1.Available, Status: apiregistrationv1.ConditionTrue}}
	if _, err := w.client.ApiregistrationV1().APIServices().UpdateStatus(t.Context(), s, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.eventually("availability", func() bool { return w.State(topology) == State{Phase: Available} })
	select {
	case <-told:
	case <-time.After(2 * time.Minute):
		t.Error("nobody was told of a change")
	}
}

func TestRegistrar_LeavesForeignOnesAlone(t *testing.T) {
	service := &apiregistrationv1.ServiceReference{Namespace: "other", Name: "kcp", Port: ptr.To[int32](443)}
	for name, change := range map[string]func(*apiregistrationv1.APIService){
		"another server":                  func(s *apiregistrationv1.APIService) { s.Labels, s.OwnerReferences = nil, nil },
		"our label alone":                 func(s *apiregistrationv1.APIService) { s.OwnerReferences = nil },
		"our label and another owner":     func(s *apiregistrationv1.APIService) { s.OwnerReferences[0].Name = "v1.other.example.com" },
		"our owner without our label":     func(s *apiregistrationv1.APIService) { s.Labels = nil },
		"another kind of owner":           func(s *apiregistrationv1.APIService) { s.OwnerReferences[0].Kind = "Service" },
		"another group of owner":          func(s *apiregistrationv1.APIService) { s.OwnerReferences[0].APIVersion = "v1" },
		"a CRD of the host":               func(s *apiregistrationv1.APIService) { s.Spec.Service, s.Spec.CABundle = nil, nil; s.Labels = nil },
		"a CRD of the host with our mark": func(s *apiregistrationv1.APIService) { s.Spec.Service, s.Spec.CABundle = nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			foreign := registered(topology, staticOwner)
			foreign.Spec.Service = service
			change(foreign)
			w := start(t, anchor(), foreign.DeepCopy())
			w.eventually("a conflict", func() bool { return w.State(topology).Phase == Conflict })
			if message := w.State(topology).Message; !strings.Contains(message, "another owner") && !strings.Contains(message, "itself") {
				t.Errorf("the conflict says %q", message)
			}
			w.settled()
			if got := w.get(topology); !apiequality.Semantic.DeepEqual(got, foreign) {
				t.Errorf("it was changed to %+v", got)
			}
			if err := w.client.ApiregistrationV1().APIServices().Delete(t.Context(), foreign.Name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			w.eventually("registration once it is gone", func() bool { return w.State(topology).Phase == Registered })
		})
	}
}

func TestRegistrar_WithoutAnAnchor(t *testing.T) {
	gone := registered(topology, staticOwner)
	gone.OwnerReferences[0].UID = "of-an-earlier-anchor"
	for name, test := range map[string]struct {
		objects []runtime.Object
		want    string
	}{
		"absent": {want: "does not exist"},
		"being deleted": {objects: []runtime.Object{func() runtime.Object {
			s := anchor()
			s.DeletionTimestamp, s.Finalizers = ptr.To(metav1.Now()), []string{"example.com/hold"}
			return s
		}()}, want: "is being deleted"},
		"of a CRD": {objects: []runtime.Object{func() runtime.Object {
			s := anchor()
			s.Spec.Service = nil
			return s
		}()}, want: "itself"},
		"of another installation": {objects: []runtime.Object{func() runtime.Object {
			s := anchor()
			s.Spec.Service.Namespace, s.Spec.CABundle = "theirs", []byte("theirs")
			return s
		}()}, want: "--tls-san"},
		"without what cert-manager writes": {objects: []runtime.Object{func() runtime.Object {
			s := anchor()
			s.Annotations = map[string]string{"cert-manager.io/inject-ca-from": "annex-system/annex"}
			return s
		}()}, want: "cert-manager"},
		"made again": {objects: []runtime.Object{anchor(), gone}, want: "earlier"},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, test.objects...)
			w.eventually("a reason", func() bool { return strings.Contains(w.State(topology).Message, test.want) })
			if state := w.State(topology); state.Phase != Pending {
				t.Errorf("state %+v", state)
			}
			if s := w.get(topology); s != nil && len(test.objects) < 2 {
				t.Errorf("%s was registered", s.Name)
			}
			if s := w.get(tenancy); s != nil && string(s.Spec.CABundle) == "ca" && len(test.objects) < 2 {
				t.Error("the anchor was changed")
			}
		})
	}
}

func TestRegistrar_KeepsWhatOthersInject(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*apiregistrationv1.APIService)
		want   string
	}{
		"cert-manager": {func(s *apiregistrationv1.APIService) {
			s.Annotations, s.Spec.CABundle = map[string]string{"cert-manager.io/inject-ca-from": "annex-system/annex"}, []byte("injected")
		}, "injected"},
		"no verification": {func(s *apiregistrationv1.APIService) { s.Spec.InsecureSkipTLSVerify = true }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := anchor()
			test.change(a)
			w := start(t, a)
			w.eventually("registration", func() bool { return w.State(topology).Phase == Registered })
			for _, gv := range []schema.GroupVersion{tenancy, topology} {
				if got := string(w.get(gv).Spec.CABundle); got != test.want {
					t.Errorf("caBundle of %s is %q, want %q", gv, got, test.want)
				}
			}
			if got := w.get(topology).Spec.InsecureSkipTLSVerify; got != a.Spec.InsecureSkipTLSVerify {
				t.Errorf("insecureSkipTLSVerify is %v", got)
			}
		})
	}
}

// After a restart nobody has asked for anything yet.
func TestRegistrar_KeepsUntilTheOwnerHasSpoken(t *testing.T) {
	old := schema.GroupVersion{Group: "old.annex.dev", Version: "v1"}
	w := start(t, anchor(), registered(widgets, "hostbinding/a", "hostbinding/b"), registered(old, staticOwner))
	w.eventually("removal of what the server served once", func() bool { return w.get(old) == nil })
	w.eventually("the bundle of what is kept", func() bool { return string(w.get(widgets).Spec.CABundle) == "ca" })
	w.Want("hostbinding/a", nil)
	w.eventually("one owner less", func() bool { return slices.Equal(ownersOn(w.get(widgets)), []string{"hostbinding/b"}) })
	w.Want("hostbinding/b", []schema.GroupVersion{gadgets})
	w.eventually("removal", func() bool { return w.get(widgets) == nil && w.get(gadgets) != nil })
}

func TestRegistrar_TriesAgain(t *testing.T) {
	w := &world{t: t, client: fake.NewSimpleClientset(anchor()), pem: "ca", changed: make(chan struct{})}
	var lock sync.Mutex
	refuse := true
	w.client.PrependReactor("create", "apiservices", func(clienttesting.Action) (bool, runtime.Object, error) {
		lock.Lock()
		defer lock.Unlock()
		if refuse {
			return true, nil, apierrors.NewForbidden(apiregistrationv1.Resource("apiservices"), "", errors.New("no"))
		}
		return false, nil, nil
	})
	w.run()
	w.eventually("the fault", func() bool { return strings.Contains(w.State(topology).Message, "forbidden") })
	lock.Lock()
	refuse = false
	lock.Unlock()
	w.eventually("registration", func() bool { return w.State(topology).Phase == Registered })
}

// A host that does not let us read is tried again and again, and that is said once.
func TestRegistrar_HostThatCannotBeRead(t *testing.T) {
	client := fake.NewSimpleClientset(anchor())
	var lock sync.Mutex
	attempts, refuse := 0, true
	client.PrependReactor("list", "apiservices", func(clienttesting.Action) (bool, runtime.Object, error) {
		lock.Lock()
		defer lock.Unlock()
		attempts++
		if refuse {
			return true, nil, apierrors.NewForbidden(apiregistrationv1.Resource("apiservices"), "", errors.New("no such right"))
		}
		return false, nil, nil
	})
	logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.Verbosity(0), ktesting.BufferLogs(true)))
	w := &world{t: t, client: client, pem: "ca", changed: make(chan struct{})}
	w.runWith(klog.NewContext(t.Context(), logger))
	w.eventually("the fault", func() bool {
		return strings.Contains(w.State(topology).Message, "no such right") && w.State(topology).Phase == Pending
	})
	w.eventually("another attempt", func() bool {
		lock.Lock()
		defer lock.Unlock()
		return attempts > 1
	})
	lock.Lock()
	refuse = false
	lock.Unlock()
	w.eventually("registration", func() bool { return w.State(topology).Phase == Registered })
	buffer, ok := logger.GetSink().(ktesting.Underlier)
	if !ok {
		t.Fatal("the log cannot be read")
	}
	if got := strings.Count(buffer.GetBuffer().String(), "no such right"); got != 1 {
		t.Errorf("said %d times:\n%s", got, buffer.GetBuffer().String())
	}
}
