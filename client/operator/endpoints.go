package operator

import (
	"context"
	"fmt"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/generated/clientset/versioned"
)

// What a manager waits for.
const (
	waitsForSlice    = "Waiting for an APIExportEndpointSlice: there is none of this name. Is it the workspace of the APIExport, and does the APIExport exist?"
	waitsForConsumer = "Waiting for an endpoint: nobody has bound the export yet"
	waitsForRead     = "Waiting for an APIExportEndpointSlice, which cannot be read: do the credentials belong to the workspace of the APIExport?"
	waitsForHost     = "Waiting for an APIExportEndpointSlice, but this server is no host with Annex. A kubeconfig that leads to the workspace itself needs no path of a workspace"
)

// followSlice calls set with the endpoints of the slice called name, in the workspace of config, now and whenever they change, until ctx
// ends. A slice that does not exist has none. It calls seen as soon as it has seen what there is.
func followSlice(ctx context.Context, config *rest.Config, name string, set func([]string) error, seen func()) error {
	missing := &waiting{where: []any{"endpointSlice", name, "server", config.Host}}
	go missing.run(ctx)
	return followSliceOf(ctx, config, name, missing, set, seen)
}

// followSliceOf is followSlice, and says in missing what it waits for.
func followSliceOf(ctx context.Context, config *rest.Config, name string, missing *waiting, set func([]string) error, seen func()) error {
	clients, err := versioned.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("preparing to read endpoints: %w", err)
	}
	slices, only := clients.ApisV1alpha1().APIExportEndpointSlices(), fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	log := klog.FromContext(ctx).WithValues(missing.where...)
	follow := func(slice *apisv1alpha1.APIExportEndpointSlice) {
		urls, err := endpointURLs(config.Host, slice)
		if err == nil {
			missing.set("", nil)
			if len(urls) == 0 {
				missing.set(waitsForConsumer, nil)
			}
			err = set(urls)
		}
		if err != nil {
			log.Error(err, "Endpoints cannot be followed")
		}
	}
	// tried notes why the slice was not read even once. Later, the reflector tries again, and says so.
	var read atomic.Bool
	tried := func(err error) {
		if err != nil && !read.Load() {
			missing.set(unread(config.Host, err), err)
		}
	}
	// One workspace: stock informers work.
	store, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				options.FieldSelector = only
				list, err := slices.List(ctx, options)
				tried(err)
				return list, err
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				options.FieldSelector = only
				events, err := slices.Watch(ctx, options)
				tried(err)
				return events, err
			},
		},
		ObjectType: &apisv1alpha1.APIExportEndpointSlice{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(obj any) { follow(obj.(*apisv1alpha1.APIExportEndpointSlice)) },
			UpdateFunc: func(_, obj any) { follow(obj.(*apisv1alpha1.APIExportEndpointSlice)) },
			DeleteFunc: func(any) {
				follow(&apisv1alpha1.APIExportEndpointSlice{})
				missing.set(waitsForSlice, nil)
			},
		},
	})
	go func() {
		// The handler has been called by then.
		if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			read.Store(true)
			if len(store.ListKeys()) == 0 {
				missing.set(waitsForSlice, nil)
			}
			seen()
		}
	}()
	informer.RunWithContext(ctx)
	return nil
}

// unread says why the slice cannot be read at the URL of its workspace.
func unread(workspace string, err error) string {
	// Annex does not tell whether a workspace exists. So it is the server that does not know the path.
	if _, _, through := splitHost(workspace); through && apierrors.IsNotFound(err) {
		return waitsForHost
	}
	return waitsForRead
}
