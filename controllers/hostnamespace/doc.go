// Package hostnamespace follows the namespaces of the host that objects in the host workspace belong to; see server/admission/hostnamespace, which
// ties them together. Its controller deletes the Namespaces that were created in the host workspace for namespaces of the host when
// those are gone. [Gone] tells the controllers of such objects whether their namespace is.
package hostnamespace
