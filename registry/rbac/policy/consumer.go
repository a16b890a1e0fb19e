package policy

import (
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// AsConsumers returns who u, with a request in cluster, and each of its warrants is to the RBAC of provider; see [AsConsumer].
func AsConsumers(u user.Info, cluster, provider logicalcluster.Name) []user.Info {
	all := Identities(u, cluster)
	for i := range all {
		all[i] = AsConsumer(all[i], cluster, provider)
	}
	return all
}

// AsConsumer returns who u, with a request in cluster, is to the RBAC of provider, whose API the cluster has bound: the name and each group
// with the prefix apis.kcp.io:binding:, which no user has. A ServiceAccount is who others know it as, whatever cluster it is of, for example
// apis.kcp.io:binding:system:kcp:serviceaccount:2f8kq1z0c7a9x3bd:default:deployer.
//
// Who is not in scope in one of the two clusters is anonymous, as [Effective] says. So whoever administers cluster gains nothing by
// impersonating somebody there whom the provider trusts.
func AsConsumer(u user.Info, cluster, provider logicalcluster.Name) user.Info {
	const prefix = apisv1alpha2.MaximalPermissionPolicyRBACUserGroupPrefix
	in := Effective(u, cluster)
	if namespace, name, err := serviceaccount.SplitUsername(in.GetName()); err == nil {
		in = Abroad(cluster, namespace, name, in.GetUID())
	}
	if !InScope(in, provider) {
		in = Effective(in, provider)
	}
	consumer := &user.DefaultInfo{Name: prefix + in.GetName(), UID: in.GetUID(), Groups: make([]string, 0, len(in.GetGroups()))}
	for _, group := range in.GetGroups() {
		consumer.Groups = append(consumer.Groups, prefix+group)
	}
	return consumer
}
