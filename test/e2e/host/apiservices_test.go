package host

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	apiservices "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/typed/apiregistration/v1"
)

// apiServiceOf returns the name of the APIService of gv.
func apiServiceOf(gv schema.GroupVersion) string { return gv.Version + "." + gv.Group }

// apiServices returns a client for the APIServices of the host, as its administrator.
func (c *cluster) apiServices() (apiservices.APIServiceInterface, error) {
	client, err := aggregator.NewForConfig(c.host.Config())
	if err != nil {
		return nil, err
	}
	return client.ApiregistrationV1().APIServices(), nil
}

// register makes the Service and the one APIService that a person makes, and waits until the host finds all available.
func (c *cluster) register(ctx context.Context) error {
	port, err := c.makeService(ctx)
	if err != nil {
		return err
	}
	services, err := c.apiServices()
	if err != nil {
		return err
	}
	if _, err := services.Create(ctx, newAPIService(groupVersions[0], serviceName, port), metav1.CreateOptions{}); err != nil {
		return err
	}
	for _, gv := range groupVersions {
		if err := awaitAvailable(ctx, services, gv, nil); err != nil {
			return err
		}
	}
	return nil
}

// makeService makes the Service that leads to Annex, and returns its port.
func (c *cluster) makeService(ctx context.Context) (int32, error) {
	client, err := kubernetes.NewForConfig(c.host.Config())
	if err != nil {
		return 0, err
	}
	address, err := url.Parse(c.annex.URL())
	if err != nil {
		return 0, err
	}
	port, err := strconv.ParseInt(address.Port(), 10, 32)
	if err != nil {
		return 0, err
	}
	if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: installedIn}}, metav1.CreateOptions{}); err != nil {
		return 0, err
	}
	_, err = client.CoreV1().Services(installedIn).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: serviceName},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost", Ports: []corev1.ServicePort{{Port: int32(port)}}},
	}, metav1.CreateOptions{})
	return int32(port), err
}

// newAPIService returns an APIService as a person writes it.
func newAPIService(gv schema.GroupVersion, service string, port int32) *apiregistrationv1.APIService {
	return &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: apiServiceOf(gv)},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: gv.Group, Version: gv.Version, GroupPriorityMinimum: 1000, VersionPriority: 100,
			Service: &apiregistrationv1.ServiceReference{Namespace: installedIn, Name: service, Port: &port},
		},
	}
}

// awaitAvailable waits until the host finds gv available, by caBundle if that is not nil.
func awaitAvailable(ctx context.Context, services apiservices.APIServiceInterface, gv schema.GroupVersion, caBundle []byte) error {
	var last string
	err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		got, err := services.Get(ctx, apiServiceOf(gv), metav1.GetOptions{})
		if err != nil {
			last = err.Error()
			return false, nil //nolint:nilerr // it is about to be made
		}
		last = fmt.Sprintf("%v", got.Status.Conditions)
		if caBundle != nil && string(got.Spec.CABundle) != string(caBundle) {
			last = "its caBundle is another"
			return false, nil
		}
		for _, condition := range got.Status.Conditions {
			if condition.Type == apiregistrationv1.Available && condition.Status == apiregistrationv1.ConditionTrue {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the APIService of %s: %w; %s", gv, err, last)
	}
	return nil
}
