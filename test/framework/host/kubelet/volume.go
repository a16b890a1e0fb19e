package kubelet

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/annex-dev/annex/test/framework/host/kubelet/sandbox"
)

// writtenVolume is a volume whose files come from objects of the host.
type writtenVolume struct {
	tokens map[string]*token // by path
}

// file is one of a volume.
type file struct {
	data []byte
	mode os.FileMode
}

func (p *pod) volumeDir(name string) string { return filepath.Join(p.dir, "volumes", name) }

// volumePath returns the directory that shows as the volume in containers.
func (p *pod) volumePath(v corev1.Volume) (string, error) {
	if v.PersistentVolumeClaim != nil {
		return p.kubelet.claimPath(p.first.Namespace, v.PersistentVolumeClaim.ClaimName)
	}
	return p.volumeDir(v.Name), nil
}

// writeVolumes makes all volumes, and brings those that come from objects up to
// date.
func (p *pod) writeVolumes(ctx context.Context) error {
	for _, v := range p.first.Spec.Volumes {
		if err := p.writeVolume(ctx, v); err != nil {
			return fmt.Errorf("MountVolume.SetUp failed for volume %q: %w", v.Name, err)
		}
	}
	return nil
}

func (p *pod) writeVolume(ctx context.Context, v corev1.Volume) error {
	path, err := p.volumePath(v)
	if err != nil {
		return err
	}
	switch {
	case v.EmptyDir != nil:
		return p.makeVolumeDir(path, 0o777)
	case v.PersistentVolumeClaim != nil:
		return p.makeVolumeDir(path, 0o755)
	}
	if err := p.makeVolumeDir(path, 0o755); err != nil {
		return err
	}
	files, err := p.volumeFiles(ctx, v)
	if err != nil {
		return err
	}
	for name, f := range files {
		f.mode = p.ownerMode(f.mode)
		files[name] = f
	}
	return replaceFiles(path, files)
}

// makeVolumeDir makes a directory as a kubelet would: it belongs to root, and
// to the fsGroup when there is one.
func (p *pod) makeVolumeDir(path string, mode os.FileMode) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	if p.fsGroup() {
		mode |= 0o070
	}
	// It must stay open to the test itself, which may be the same user.
	if err := os.Chmod(path, p.asOwner(mode)|0o500); err != nil {
		return fmt.Errorf("setting the rights of a directory: %w", err)
	}
	return nil
}

func (p *pod) fsGroup() bool {
	security := p.first.Spec.SecurityContext
	return security != nil && security.FSGroup != nil
}

// user is who runs the first container.
func (p *pod) user() int64 {
	c := p.containers[p.inits]
	image, _ := p.kubelet.options.findImage(c.spec.Image)
	built := sandbox.Container{}
	// Its error is about what the container is, which it will hear itself.
	_ = c.setUser(&built, image)
	return built.User
}

// asOwner returns the rights that make the owner what the pod's user is on a
// real machine: there the files of a volume belong to root, and here to the one
// user there is.
func (p *pod) asOwner(mode os.FileMode) os.FileMode {
	class := mode & 0o7 // somebody else
	switch {
	case p.user() == 0:
		class = mode >> 6 & 0o7
	case p.fsGroup():
		class = mode >> 3 & 0o7
	}
	return mode&^0o700 | class<<6
}

// ownerMode is asOwner for files, which a kubelet opens to the fsGroup.
func (p *pod) ownerMode(mode os.FileMode) os.FileMode {
	if p.fsGroup() {
		mode |= 0o040
	}
	return p.asOwner(mode)
}

// keepVolumes brings volumes up to date when their sources change and before
// tokens end.
func (p *pod) keepVolumes(ctx context.Context) {
	tick := time.NewTicker(tokenCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.refresh:
		case <-tick.C:
		}
		if err := p.writeVolumes(ctx); err != nil && ctx.Err() == nil {
			p.event(corev1.EventTypeWarning, "FailedMount", "%v", err)
		}
	}
}

// volumeFiles returns the files of a volume that comes from objects.
func (p *pod) volumeFiles(ctx context.Context, v corev1.Volume) (map[string]file, error) {
	switch {
	case v.Secret != nil:
		return p.secretFiles(v.Secret.SecretName, v.Secret.Items, v.Secret.DefaultMode, v.Secret.Optional)
	case v.ConfigMap != nil:
		return p.configMapFiles(v.ConfigMap.Name, v.ConfigMap.Items, v.ConfigMap.DefaultMode, v.ConfigMap.Optional)
	case v.DownwardAPI != nil:
		return p.downwardFiles(v.DownwardAPI.Items, v.DownwardAPI.DefaultMode)
	}
	all := map[string]file{}
	for _, source := range v.Projected.Sources {
		files, err := p.projectedFiles(ctx, v.Name, source, v.Projected.DefaultMode)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, files)
	}
	return all, nil
}

func (p *pod) projectedFiles(ctx context.Context, volume string, source corev1.VolumeProjection, mode *int32) (map[string]file, error) {
	switch {
	case source.Secret != nil:
		return p.secretFiles(source.Secret.Name, source.Secret.Items, mode, source.Secret.Optional)
	case source.ConfigMap != nil:
		return p.configMapFiles(source.ConfigMap.Name, source.ConfigMap.Items, mode, source.ConfigMap.Optional)
	case source.DownwardAPI != nil:
		return p.downwardFiles(source.DownwardAPI.Items, mode)
	case source.ServiceAccountToken != nil:
		return p.tokenFile(ctx, volume, *source.ServiceAccountToken)
	}
	return nil, nil
}

func (p *pod) secretFiles(name string, items []corev1.KeyToPath, mode *int32, optional *bool) (map[string]file, error) {
	secret, found := get[*corev1.Secret](p.kubelet.stores.secrets, p.first.Namespace, name)
	if !found {
		return nil, missing("secret", name, optional)
	}
	return pick("secret "+name, secret.Data, items, mode, optional)
}

func (p *pod) configMapFiles(name string, items []corev1.KeyToPath, mode *int32, optional *bool) (map[string]file, error) {
	configMap, found := get[*corev1.ConfigMap](p.kubelet.stores.configMaps, p.first.Namespace, name)
	if !found {
		return nil, missing("configmap", name, optional)
	}
	data := maps.Clone(configMap.BinaryData)
	if data == nil {
		data = map[string][]byte{}
	}
	for key, text := range configMap.Data {
		data[key] = []byte(text)
	}
	return pick("configmap "+name, data, items, mode, optional)
}

// pick returns the items, or all keys when there are none.
func pick(source string, data map[string][]byte, items []corev1.KeyToPath, mode *int32, optional *bool) (map[string]file, error) {
	files := map[string]file{}
	if len(items) == 0 {
		for key, value := range data {
			files[key] = file{value, fileMode(nil, mode)}
		}
		return files, nil
	}
	for _, item := range items {
		value, ok := data[item.Key]
		if !ok {
			if err := missing("key of "+source, item.Key, optional); err != nil {
				return nil, err
			}
			continue
		}
		files[item.Path] = file{value, fileMode(item.Mode, mode)}
	}
	return files, nil
}

func (p *pod) downwardFiles(items []corev1.DownwardAPIVolumeFile, mode *int32) (map[string]file, error) {
	files := map[string]file{}
	for _, item := range items {
		var value string
		var err error
		if item.FieldRef != nil {
			value, err = p.field(item.FieldRef.FieldPath)
		} else {
			value, err = p.resourceField(*item.ResourceFieldRef, corev1.Container{})
		}
		if err != nil {
			return nil, err
		}
		files[item.Path] = file{[]byte(value), fileMode(item.Mode, mode)}
	}
	return files, nil
}

func fileMode(own, general *int32) os.FileMode {
	switch {
	case own != nil:
		return os.FileMode(*own)
	case general != nil:
		return os.FileMode(*general)
	}
	return 0o644
}

// mount says where the container sees the volumes.
func (c *container) mount(_ context.Context, built *sandbox.Container, env map[string]string) error {
	for _, m := range c.spec.VolumeMounts {
		volume, found := corev1.Volume{}, false
		for _, v := range c.pod.first.Spec.Volumes {
			if v.Name == m.Name {
				volume, found = v, true
			}
		}
		if !found {
			return fmt.Errorf("there is no volume %q", m.Name)
		}
		path, err := c.pod.volumePath(volume)
		if err != nil {
			return err
		}
		readOnly := m.ReadOnly || volume.Secret != nil || volume.ConfigMap != nil || volume.Projected != nil || volume.DownwardAPI != nil ||
			volume.PersistentVolumeClaim != nil && volume.PersistentVolumeClaim.ReadOnly
		below := m.SubPath
		if m.SubPathExpr != "" {
			below = expand(m.SubPathExpr, env)
		}
		if below != "" {
			if path, err = subPath(path, below, readOnly); err != nil {
				return fmt.Errorf("volume %q: %w", m.Name, err)
			}
		}
		built.Mounts = append(built.Mounts, sandbox.Mount{Source: path, Target: m.MountPath, ReadOnly: readOnly})
	}
	return nil
}

// subPath returns a path below a volume, which must not lead out of it. A
// directory that is missing is made.
func subPath(volume, below string, readOnly bool) (string, error) {
	path := filepath.Join(volume, filepath.Clean("/"+below))
	if !readOnly {
		if err := os.MkdirAll(path, 0o755); err != nil {
			if _, statErr := os.Stat(path); statErr != nil {
				return "", fmt.Errorf("making subPath %q: %w", below, err)
			}
		}
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("resolving subPath %q: %w", below, err)
	}
	root, err := filepath.EvalSymlinks(volume)
	if err != nil {
		return "", fmt.Errorf("resolving the volume: %w", err)
	}
	if target != root && !strings.HasPrefix(target, root+"/") {
		return "", fmt.Errorf("subPath %q leads out of the volume", below)
	}
	return target, nil
}
