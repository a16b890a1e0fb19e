package names

import (
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// Labels and annotations of what the agent makes.
const (
	// AgentLabel has the name of the agent, on everything that it makes on either side.
	AgentLabel = "sync.annex.dev/agent"
	// NamespaceLabel has the namespace of the service cluster that is for an object and what belongs to it, also on an object without a namespace.
	NamespaceLabel = "sync.annex.dev/namespace"
	// ForLabel has a hash of the object that a related object was copied for.
	ForLabel = "sync.annex.dev/for"
	// SourceAnnotation has a hash of what a related object is a copy of.
	SourceAnnotation = "sync.annex.dev/source"

	clusterAnnotation    = "sync.annex.dev/cluster"
	namespaceAnnotation  = "sync.annex.dev/workspace-namespace"
	nameAnnotation       = "sync.annex.dev/workspace-name"
	uidAnnotation        = "sync.annex.dev/uid"
	generationAnnotation = "sync.annex.dev/generation"
	// AppliedAnnotation has a hash of what was applied to an object. It is missing between the first two writes.
	AppliedAnnotation = "sync.annex.dev/applied"
	// DefinitionAnnotation has a hash of the CustomResourceDefinition that was copied into the provider's workspace.
	DefinitionAnnotation = "sync.annex.dev/definition"

	// Finalizer is on each object of a consumer that has a counterpart.
	Finalizer = "sync.annex.dev/counterpart"
)

// Mark says on an object of the service cluster that it is the counterpart of another one, in its present generation.
func (s Scheme) Mark(counterpart, of metav1.Object) {
	key := keyOf(of)
	set(counterpart, map[string]string{AgentLabel: s.Agent, NamespaceLabel: s.Namespace(key)}, map[string]string{
		clusterAnnotation: string(key.Cluster), namespaceAnnotation: key.Namespace, nameAnnotation: key.Name,
		uidAnnotation: string(of.GetUID()), generationAnnotation: strconv.FormatInt(of.GetGeneration(), 10),
	})
}

// MarkNamespace says on a namespace of the service cluster whose objects are in it.
func (s Scheme) MarkNamespace(namespace metav1.Object, of client.Key) {
	set(namespace, s.NamespaceLabels, nil)
	set(namespace, map[string]string{AgentLabel: s.Agent}, map[string]string{clusterAnnotation: string(of.Cluster), namespaceAnnotation: s.sharing(of)})
}

// sharing returns the namespace of the consumer that a namespace of the service cluster is for; "*" if for all of a consumer.
func (s Scheme) sharing(of client.Key) string {
	if s.Shared() {
		return "*"
	}
	return of.Namespace
}

// OwnsNamespace reports whether the agent has made a namespace for objects like of.
func (s Scheme) OwnsNamespace(namespace metav1.Object, of client.Key) bool {
	annotations := namespace.GetAnnotations()
	at, ok := annotations[namespaceAnnotation]
	return s.made(namespace) && ok && at == s.sharing(of) && annotations[clusterAnnotation] == string(of.Cluster)
}

func set(obj metav1.Object, labels, annotations map[string]string) {
	obj.SetLabels(merge(obj.GetLabels(), labels))
	obj.SetAnnotations(merge(obj.GetAnnotations(), annotations))
}

func merge(into, from map[string]string) map[string]string {
	if into == nil {
		into = map[string]string{}
	}
	for key, value := range from {
		into[key] = value
	}
	return into
}

func keyOf(obj metav1.Object) client.Key {
	return client.Key{Cluster: logicalcluster.From(obj), Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

func (s Scheme) made(obj metav1.Object) bool {
	return s.Agent != "" && obj.GetLabels()[AgentLabel] == s.Agent
}

// Of returns the key of the object that an object of the service cluster is the counterpart of; false if it is not one of this agent.
func (s Scheme) Of(counterpart metav1.Object) (client.Key, bool) {
	annotations := counterpart.GetAnnotations()
	key := client.Key{Cluster: logicalcluster.Name(annotations[clusterAnnotation]), Namespace: annotations[namespaceAnnotation], Name: annotations[nameAnnotation]}
	return key, s.made(counterpart) && key.Cluster != "" && key.Name != ""
}

// IsCounterpart reports whether the agent has made an object for the object called of: for this one, or for one of the same name before it, which
// UID tells.
func (s Scheme) IsCounterpart(counterpart metav1.Object, of client.Key) bool {
	key, ok := s.Of(counterpart)
	return ok && key == of
}

// UID returns the UID of the object that counterpart was made for.
func UID(counterpart metav1.Object) string { return counterpart.GetAnnotations()[uidAnnotation] }

// Generation returns the generation of the consumer's object that was applied to counterpart; 0 if nobody knows.
func Generation(counterpart metav1.Object) int64 {
	n, err := strconv.ParseInt(counterpart.GetAnnotations()[generationAnnotation], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// ForValue returns the value of ForLabel of what is copied for the object called key of a resource.
func (s Scheme) ForValue(resource string, key client.Key) string {
	return hash(s.Agent, "for", resource, string(key.Cluster), key.Namespace, key.Name)
}

// SourceValue returns the value of SourceAnnotation of a copy of an object. The cluster is empty for the service cluster.
func (s Scheme) SourceValue(resource string, source client.Key) string {
	return hash(s.Agent, "source", resource, string(source.Cluster), source.Namespace, source.Name)
}

// MarkCopy says on an object that it is a copy of source, made for the object whose ForValue is owner.
func (s Scheme) MarkCopy(obj metav1.Object, owner, source string) {
	set(obj, map[string]string{AgentLabel: s.Agent, ForLabel: owner}, map[string]string{SourceAnnotation: source})
}

// IsCopy reports whether the agent has made an object as a copy of the object whose SourceValue is source.
func (s Scheme) IsCopy(obj metav1.Object, source string) bool {
	return s.made(obj) && source != "" && obj.GetAnnotations()[SourceAnnotation] == source
}
