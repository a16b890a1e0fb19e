package kubelet

import (
	"k8s.io/client-go/tools/cache"
)

// get returns an object as it was seen last. It must not be changed.
func get[T any](informer cache.SharedIndexInformer, namespace, name string) (object T, found bool) {
	key := name
	if namespace != "" {
		key = namespace + "/" + name
	}
	item, exists, err := informer.GetStore().GetByKey(key)
	if err != nil || !exists {
		return object, false
	}
	object, found = item.(T)
	return object, found
}

// list returns all objects of a namespace, or of all when it is empty.
func list[T interface{ GetNamespace() string }](informer cache.SharedIndexInformer, namespace string) []T {
	var objects []T
	for _, item := range informer.GetStore().List() {
		if object, ok := item.(T); ok && (namespace == "" || object.GetNamespace() == namespace) {
			objects = append(objects, object)
		}
	}
	return objects
}
