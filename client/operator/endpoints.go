package operator

import (
	"context"
	"fmt"

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

// followSlice calls set with the endpoints of the slice called name, in the workspace of config, now and whenever they change, until ctx
// ends. A slice that does not exist has none. It calls read as soon as it has seen what there is.
func followSlice(ctx context.Context, config *rest.Config, name string, set func([]string) error, read func()) error {
	clients, err := versioned.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("preparing to read endpoints: %w", err)
	}
	slices, only := clients.ApisV1alpha1().APIExportEndpointSlices(), fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	log := klog.FromContext(ctx).WithValues("endpointSlice", name)
	follow := func(slice *apisv1alpha1.APIExportEndpointSlice) {
		urls, err := endpointURLs(config.Host, slice)
		if err == nil {
			if len(urls) == 0 {
				log.Info("Waiting for an endpoint: nobody has bound the export yet")
			}
			err = set(urls)
		}
		if err != nil {
			log.Error(err, "Endpoints cannot be followed")
		}
	}
	// One workspace: stock informers work.
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				options.FieldSelector = only
				return slices.List(ctx, options)
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				options.FieldSelector = only
				return slices.Watch(ctx, options)
			},
		},
		ObjectType: &apisv1alpha1.APIExportEndpointSlice{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(obj any) { follow(obj.(*apisv1alpha1.APIExportEndpointSlice)) },
			UpdateFunc: func(_, obj any) { follow(obj.(*apisv1alpha1.APIExportEndpointSlice)) },
			DeleteFunc: func(any) { follow(&apisv1alpha1.APIExportEndpointSlice{}) },
		},
	})
	go func() {
		// The handler has been called by then.
		if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			read()
		}
	}()
	informer.RunWithContext(ctx)
	return nil
}
