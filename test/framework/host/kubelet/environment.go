package kubelet

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// environment returns the variables of the container: of the image, of the
// Services, and those that the pod says, in this order.
func (c *container) environment(image Image) (map[string]string, error) {
	env := map[string]string{"HOSTNAME": c.pod.hostname()}
	for _, variable := range image.Env {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	maps.Copy(env, c.pod.serviceEnvironment())
	for _, from := range c.spec.EnvFrom {
		values, err := c.pod.allKeys(from)
		if err != nil {
			return nil, err
		}
		for name, value := range values {
			env[from.Prefix+name] = value
		}
	}
	for _, variable := range c.spec.Env {
		if variable.ValueFrom == nil {
			env[variable.Name] = expand(variable.Value, env)
			continue
		}
		value, found, err := c.valueFrom(*variable.ValueFrom)
		if err != nil {
			return nil, err
		}
		if found {
			env[variable.Name] = value
		}
	}
	return env, nil
}

// serviceEnvironment returns the variables by which pods find Services without
// DNS; those of the host's own API are always there.
func (p *pod) serviceEnvironment() map[string]string {
	env := map[string]string{}
	links := p.first.Spec.EnableServiceLinks == nil || *p.first.Spec.EnableServiceLinks
	for _, service := range list[*corev1.Service](p.kubelet.stores.services, "") {
		own := service.Namespace == corev1.NamespaceDefault && service.Name == "kubernetes"
		if !own && (!links || service.Namespace != p.first.Namespace) {
			continue
		}
		if _, err := netip.ParseAddr(service.Spec.ClusterIP); err != nil || len(service.Spec.Ports) == 0 {
			continue
		}
		name := strings.ToUpper(strings.ReplaceAll(service.Name, "-", "_"))
		env[name+"_SERVICE_HOST"] = service.Spec.ClusterIP
		env[name+"_SERVICE_PORT"] = strconv.Itoa(int(service.Spec.Ports[0].Port))
		for _, port := range service.Spec.Ports {
			if port.Name != "" {
				env[name+"_SERVICE_PORT_"+strings.ToUpper(strings.ReplaceAll(port.Name, "-", "_"))] = strconv.Itoa(int(port.Port))
			}
		}
	}
	return env
}

// allKeys returns what a whole ConfigMap or Secret says.
func (p *pod) allKeys(from corev1.EnvFromSource) (map[string]string, error) {
	values := map[string]string{}
	switch {
	case from.ConfigMapRef != nil:
		source, found := get[*corev1.ConfigMap](p.kubelet.stores.configMaps, p.first.Namespace, from.ConfigMapRef.Name)
		if !found {
			return values, missing("configmap", from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
		}
		maps.Copy(values, source.Data)
	case from.SecretRef != nil:
		source, found := get[*corev1.Secret](p.kubelet.stores.secrets, p.first.Namespace, from.SecretRef.Name)
		if !found {
			return values, missing("secret", from.SecretRef.Name, from.SecretRef.Optional)
		}
		for name, value := range source.Data {
			values[name] = string(value)
		}
	}
	return values, nil
}

// missing is an error unless what is missing is optional.
func missing(kind, name string, optional *bool) error {
	if optional != nil && *optional {
		return nil
	}
	return fmt.Errorf("%s %q not found", kind, name)
}

func (c *container) valueFrom(from corev1.EnvVarSource) (value string, found bool, err error) {
	p := c.pod
	switch {
	case from.FieldRef != nil:
		value, err = p.field(from.FieldRef.FieldPath)
		return value, err == nil, err
	case from.ResourceFieldRef != nil:
		value, err = p.resourceField(*from.ResourceFieldRef, c.spec)
		return value, err == nil, err
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		if source, ok := get[*corev1.ConfigMap](p.kubelet.stores.configMaps, p.first.Namespace, ref.Name); ok {
			if value, found = source.Data[ref.Key]; found {
				return value, true, nil
			}
			return "", false, missing("key of configmap "+ref.Name, ref.Key, ref.Optional)
		}
		return "", false, missing("configmap", ref.Name, ref.Optional)
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		if source, ok := get[*corev1.Secret](p.kubelet.stores.secrets, p.first.Namespace, ref.Name); ok {
			if data, ok := source.Data[ref.Key]; ok {
				return string(data), true, nil
			}
			return "", false, missing("key of secret "+ref.Name, ref.Key, ref.Optional)
		}
		return "", false, missing("secret", ref.Name, ref.Optional)
	}
	return "", false, nil
}

// field returns what the downward API gives for a path.
func (p *pod) field(path string) (string, error) {
	now := p.current()
	if kind, key, ok := strings.Cut(strings.TrimSuffix(path, "']"), "['"); ok {
		switch kind {
		case "metadata.labels":
			return now.Labels[key], nil
		case "metadata.annotations":
			return now.Annotations[key], nil
		}
	}
	values := map[string]func() string{
		"metadata.name":           func() string { return now.Name },
		"metadata.namespace":      func() string { return now.Namespace },
		"metadata.uid":            func() string { return string(now.UID) },
		"metadata.labels":         func() string { return formatMap(now.Labels) },
		"metadata.annotations":    func() string { return formatMap(now.Annotations) },
		"spec.nodeName":           func() string { return NodeName },
		"spec.serviceAccountName": func() string { return now.Spec.ServiceAccountName },
		"status.hostIP":           func() string { return nodeAddress },
		"status.hostIPs":          func() string { return nodeAddress },
		"status.podIP":            func() string { return p.ip },
		"status.podIPs":           func() string { return p.ip },
	}
	value, ok := values[path]
	if !ok {
		return "", fmt.Errorf("this node knows no fieldPath %q", path)
	}
	return value(), nil
}

func formatMap(m map[string]string) string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		lines = append(lines, fmt.Sprintf("%s=%q", key, m[key]))
	}
	return strings.Join(lines, "\n")
}

// resourceField returns a request or limit, rounded up to the divisor. A limit
// that is not set is what the Node has.
func (p *pod) resourceField(ref corev1.ResourceFieldSelector, spec corev1.Container) (string, error) {
	if ref.ContainerName != "" {
		for _, c := range slices.Concat(p.first.Spec.InitContainers, p.first.Spec.Containers) {
			if c.Name == ref.ContainerName {
				spec = c
			}
		}
	}
	kind, name, _ := strings.Cut(ref.Resource, ".")
	from := spec.Resources.Requests
	if kind == "limits" {
		from = spec.Resources.Limits
	}
	quantity, set := from[corev1.ResourceName(name)]
	if !set && kind == "limits" {
		quantity = resources()[corev1.ResourceName(name)]
	}
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	// CPU has thousandths; everything else is whole.
	value, by := quantity.Value(), divisor.Value()
	if name == string(corev1.ResourceCPU) {
		value, by = quantity.MilliValue(), divisor.MilliValue()
	}
	if by == 0 {
		return "", fmt.Errorf("divisor %s of %s is too small", divisor.String(), ref.Resource)
	}
	return strconv.FormatInt((value+by-1)/by, 10), nil
}

// expand replaces $(NAME) by a variable that is known. $$ is a $, and what is
// not known stays as it is.
func expand(text string, env map[string]string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '$' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		switch text[i+1] {
		case '$':
			out.WriteByte('$')
			i++
		case '(':
			end := strings.IndexByte(text[i:], ')')
			if end < 0 {
				out.WriteString("$(")
				i++
				continue
			}
			reference := text[i : i+end+1]
			value, known := env[reference[2:end]]
			if !known {
				value = reference
			}
			out.WriteString(value)
			i += end
		default:
			out.WriteByte('$')
		}
	}
	return out.String()
}
