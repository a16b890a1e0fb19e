package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	codecs "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/registry/kinds"
)

const (
	// answerTimeout is the time limit for one response. The host itself waits five seconds for discovery before it marks an API as
	// unavailable.
	answerTimeout = 10 * time.Second
	// pollInterval is the pause between two checks.
	pollInterval = time.Second
)

// Report is the result of one check.
type Report struct {
	// Server is the URL of the host. Version is its Kubernetes version.
	Server  string `json:"server"`
	Version string `json:"version"`
	// GroupVersions are all group versions that Annex serves to a host.
	GroupVersions []GroupVersion `json:"groupVersions"`
	// Good is true if none of them has a fault.
	Good bool `json:"good"`
}

// GroupVersion is the result for one group version.
type GroupVersion struct {
	// Name is the group version, such as tenancy.kcp.io/v1alpha1.
	Name string `json:"name"`
	// Resources are the resources in the response, without subresources.
	Resources []string `json:"resources,omitempty"`
	// Took is the duration of the request.
	Took metav1.Duration `json:"took"`
	// APIService is the state of the APIService on the host; empty if the user may not read it.
	APIService string `json:"apiService,omitempty"`
	// Faults describe what is wrong.
	Faults []string `json:"faults,omitempty"`
}

// Once checks the host that config refers to. It returns an error if it could not reach the host at all.
func Once(ctx context.Context, config *rest.Config) (*Report, error) {
	client, err := clientFor(config)
	if err != nil {
		return nil, err
	}
	report := &Report{Server: config.Host, Good: true}
	version := struct {
		GitVersion string `json:"gitVersion"`
	}{}
	if _, err := get(ctx, client, "/version", &version); err != nil {
		return nil, fmt.Errorf("asking %s for its version: %w", config.Host, err)
	}
	report.Version = version.GitVersion
	expected := kinds.All.HostVersions()
	report.GroupVersions = make([]GroupVersion, len(expected))
	var all sync.WaitGroup
	var listed listing
	all.Go(func() { listed = newListing(ctx, client) })
	for i, served := range expected {
		all.Go(func() { report.GroupVersions[i] = look(ctx, client, served) })
	}
	all.Wait()
	for i, served := range expected {
		gv := &report.GroupVersions[i]
		// If there is another fault, then that is the reason for a list without the group version.
		if fault := listed.fault(served.GroupVersion); fault != "" && len(gv.Faults) == 0 {
			gv.Faults = []string{fault}
		}
		report.Good = report.Good && len(gv.Faults) == 0
	}
	return report, nil
}

// Until repeats the check until there is no fault or ctx ends, and returns the last report. It returns an error if it could not reach
// the host at all when ctx ended.
func Until(ctx context.Context, config *rest.Config) (report *Report, err error) {
	_ = wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		seen, fault := Once(ctx, config)
		// A check that was cut short has no valid result, so keep the one before it.
		if ctx.Err() == nil || (report == nil && err == nil) {
			report, err = seen, fault
		}
		return err == nil && report.Good, nil
	})
	return report, err
}

// clientFor returns a client without limits of its own.
func clientFor(config *rest.Config) (*rest.RESTClient, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.NegotiatedSerializer = -1, codecs.Codecs.WithoutConversion()
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	client, err := rest.UnversionedRESTClientForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	return client, nil
}

// get decodes the JSON at path into into, and returns the duration of the request.
func get(ctx context.Context, client *rest.RESTClient, path string, into any) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errors.New("no answer within "+answerTimeout.String()))
	defer cancel()
	before := time.Now()
	result := client.Get().AbsPath(path).SetHeader("Accept", "application/json").MaxRetries(0).Do(ctx)
	took := time.Since(before)
	// Only Error decodes the Status in the response.
	err := result.Error()
	if err == nil {
		var data []byte
		if data, err = result.Raw(); err == nil {
			err = json.Unmarshal(data, into)
		}
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return took, err
}

// look checks one group version.
func look(ctx context.Context, client *rest.RESTClient, expected kinds.Served) GroupVersion {
	found := GroupVersion{Name: expected.String()}
	list := metav1.APIResourceList{}
	took, err := get(ctx, client, "/apis/"+found.Name, &list)
	found.Took = metav1.Duration{Duration: took}
	if err != nil {
		found.Faults = append(found.Faults, "no discovery: "+explain(err))
	} else {
		found.Faults = append(found.Faults, found.read(list, expected.Kinds)...)
	}
	state, fault := apiService(ctx, client, expected.GroupVersion)
	found.APIService = state
	if fault != "" {
		found.Faults = append(found.Faults, fault)
	}
	return found
}

// read stores the resources of list and returns the missing kinds as faults.
func (gv *GroupVersion) read(list metav1.APIResourceList, expected []string) []string {
	kinds := map[string]bool{}
	for _, resource := range list.APIResources {
		if !strings.Contains(resource.Name, "/") {
			gv.Resources = append(gv.Resources, resource.Name)
			kinds[resource.Kind] = true
		}
	}
	slices.Sort(gv.Resources)
	var missing []string
	for _, kind := range expected {
		if !kinds[kind] {
			missing = append(missing, kind)
		}
	}
	if len(missing) > 0 {
		return []string{"does not serve the kinds " + strings.Join(missing, ", ")}
	}
	return nil
}

// explain returns the reason, for users, why a request failed.
func explain(err error) string {
	switch {
	case apierrors.IsNotFound(err):
		return "the host does not know the group version, because no APIService is registered for it"
	case apierrors.IsServiceUnavailable(err):
		return "the host cannot reach Annex (503)"
	case apierrors.IsUnauthorized(err), apierrors.IsForbidden(err):
		return fmt.Sprintf("refused (%d): %v", code(err), err)
	}
	return err.Error()
}

// code returns the HTTP status of an error.
func code(err error) int32 {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return status.Status().Code
	}
	return 0
}
