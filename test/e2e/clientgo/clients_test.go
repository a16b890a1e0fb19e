package clientgo

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/pager"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/client-go/util/retry"

	"github.com/annex-dev/annex/test/framework/annex"
)

// Many increment one number. Each that comes too late reads again.
func TestRetry_EveryConflictIsTriedAgain(t *testing.T) {
	t.Parallel()
	const workers, steps = 8, 10
	typed, _ := annex.Clients(t, workspace(t, "conflicts"))
	client := typed.CoreV1().ConfigMaps("default")
	if _, err := client.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "counter"}, Data: map[string]string{"n": "0"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var all errgroup.Group
	for range workers {
		all.Go(func() error {
			for range steps {
				if err := retry.RetryOnConflict(wait.Backoff{Steps: 10000, Duration: time.Millisecond, Jitter: 1}, func() error {
					counter, err := client.Get(t.Context(), "counter", metav1.GetOptions{})
					if err != nil {
						return err
					}
					n, err := strconv.Atoi(counter.Data["n"])
					if err != nil {
						return err
					}
					counter.Data["n"] = strconv.Itoa(n + 1)
					_, err = client.Update(t.Context(), counter, metav1.UpdateOptions{})
					return err
				}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	counter, err := client.Get(t.Context(), "counter", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if counter.Data["n"] != strconv.Itoa(workers*steps) {
		t.Errorf("%d increments make %s", workers*steps, counter.Data["n"])
	}
}

// The pages of one list are of one moment: what is written while it is read is not in it.
func TestPager_PagesAreOfOneMoment(t *testing.T) {
	t.Parallel()
	const objects = 60
	typed, _ := annex.Clients(t, workspace(t, "pages"))
	client := typed.CoreV1().ConfigMaps("default")
	for i := range objects {
		if _, err := client.Apply(t.Context(), corev1apply.ConfigMap(fmt.Sprintf("page-%03d", i), "default").WithLabels(map[string]string{"paged": ""}), metav1.ApplyOptions{FieldManager: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	pages := 0
	p := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		if pages++; pages == 3 {
			if err := client.Delete(ctx, fmt.Sprintf("page-%03d", objects-1), metav1.DeleteOptions{}); err != nil {
				return nil, err
			}
			if _, err := client.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "page-999", Labels: map[string]string{"paged": ""}}}, metav1.CreateOptions{}); err != nil {
				return nil, err
			}
		}
		return client.List(ctx, options)
	})
	p.PageSize = 10
	var names []string
	if err := p.EachListItem(t.Context(), metav1.ListOptions{LabelSelector: "paged"}, func(obj runtime.Object) error {
		accessor, err := meta.Accessor(obj)
		if err == nil {
			names = append(names, accessor.GetName())
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(names) != objects || !slices.IsSorted(names) || names[objects-1] != fmt.Sprintf("page-%03d", objects-1) || pages != objects/10 {
		t.Errorf("%d pages hold %v", pages, names)
	}
}

// Finalizers hold an object back; the watchtools see it go.
func TestWatchTools_UntilAnObjectIsGone(t *testing.T) {
	t.Parallel()
	config := workspace(t, "finalizers")
	_, untyped := annex.Clients(t, config)
	for _, obj := range manifests(t, examples+"crd.yaml") {
		apply(t, config, obj)
	}
	served(t, config, gadgets)
	held := object(gadgets, "held")
	held.SetFinalizers([]string{"example.org/hold"})
	client := untyped.Resource(gadgets).Namespace("default")
	created, err := client.Create(t.Context(), held, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Delete(t.Context(), "held", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := watchtools.ContextWithOptionalTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	named := fields.OneTermEqualSelector("metadata.name", "held").String()
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = named
			return client.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = named
			return client.Watch(ctx, options)
		},
	}
	var gone errgroup.Group
	released := make(chan struct{})
	gone.Go(func() error {
		event, err := watchtools.UntilWithSync(ctx, lw, &unstructured.Unstructured{}, nil, func(event watch.Event) (bool, error) {
			if event.Type == watch.Deleted {
				select {
				case <-released:
				default:
					return false, fmt.Errorf("an object with a finalizer is gone")
				}
			}
			return event.Type == watch.Deleted, nil
		})
		if err == nil && event == nil {
			err = fmt.Errorf("no event")
		}
		return err
	})
	// From the resourceVersion of the creation on, a watch that is broken and begun anew shows the deletion in two steps.
	var shown []watch.EventType
	marked := make(chan struct{})
	gone.Go(func() error {
		_, err := watchtools.Until(ctx, created.GetResourceVersion(), lw, func(event watch.Event) (bool, error) {
			shown = append(shown, event.Type)
			if event.Type == watch.Modified && len(shown) == 1 {
				close(marked)
			}
			return event.Type == watch.Deleted, nil
		})
		return err
	})
	<-marked
	marks, err := client.Get(t.Context(), "held", metav1.GetOptions{})
	if err != nil || marks.GetDeletionTimestamp() == nil {
		t.Fatalf("the object with a finalizer is %v, %v", marks, err)
	}
	close(released)
	if _, err := client.Patch(t.Context(), "held", types.JSONPatchType, []byte(`[{"op":"remove","path":"/metadata/finalizers"}]`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := gone.Wait(); err != nil {
		t.Fatal(err)
	}
	if want := []watch.EventType{watch.Modified, watch.Deleted}; !slices.Equal(shown, want) {
		t.Errorf("the watch shows %v, want %v", shown, want)
	}
}

// What discovery remembers is renewed when somebody asks for what was added, and when it is told to forget.
func TestDiscovery_CachesFollowDefinitions(t *testing.T) {
	t.Parallel()
	config := workspace(t, "discovery")
	_, untyped := annex.Clients(t, config)
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	cached := memory.NewMemCacheClient(found)
	gadget := schema.GroupKind{Group: gadgets.Group, Kind: "Gadget"}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(cached)
	expand := restmapper.NewShortcutExpander(mapper, cached, nil)
	if _, err := mapper.RESTMapping(gadget); !meta.IsNoMatchError(err) {
		t.Errorf("a kind that is not defined: %v", err)
	}
	if got, err := expand.ResourceFor(schema.GroupVersionResource{Resource: "cm"}); err != nil || got != configMaps {
		t.Errorf("cm is %v, %v", got, err)
	}
	for _, obj := range manifests(t, examples+"crd.yaml") {
		apply(t, config, obj)
	}
	served(t, config, gadgets)
	mapper.Reset()
	mapping, err := mapper.RESTMapping(gadget)
	if err != nil || mapping.Resource != gadgets || mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		t.Errorf("the kind that was defined: %+v, %v", mapping, err)
	}
	if err := untyped.Resource(crds).Delete(t.Context(), "gadgets.example.org", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	annex.Eventually(t, func(ctx context.Context) error {
		if _, err := untyped.Resource(gadgets).List(ctx, metav1.ListOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("gadgets are still served: %w", err)
		}
		return nil
	})
	if _, err := mapper.RESTMapping(gadget); err != nil {
		t.Errorf("nobody told the mapper to forget: %v", err)
	}
	mapper.Reset()
	if _, err := mapper.RESTMapping(gadget); !meta.IsNoMatchError(err) {
		t.Errorf("a kind that is no longer defined: %v", err)
	}
}

func TestImpersonation_OfUserGroupsAndExtra(t *testing.T) {
	t.Parallel()
	config := workspace(t, "impersonation")
	admin, _ := annex.Clients(t, config)
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "alice", UID: "a-1", Groups: []string{"devs", "system:authenticated"}, Extra: map[string][]string{"scope": {"read"}}}
	typed, _ := annex.Clients(t, config)
	who, err := typed.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if user := who.Status.UserInfo; user.Username != "alice" || user.UID != "a-1" || !slices.Contains(user.Groups, "devs") || !slices.Equal(user.Extra["scope"], []string{"read"}) {
		t.Errorf("the impersonated user is %+v", user)
	}
	if _, err := typed.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a user without rights lists: %v", err)
	}
	// Who is not an administrator may not become one.
	robot, err := admin.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config = rest.AnonymousClientConfig(config)
	config.BearerToken, config.Impersonate = robot.Status.Token, rest.ImpersonationConfig{UserName: "admin", Groups: []string{"system:masters"}}
	typed, _ = annex.Clients(t, config)
	if _, err := typed.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a ServiceAccount impersonates an administrator: %v", err)
	}
}
