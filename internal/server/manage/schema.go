package manage

import (
	"github.com/danielgtaylor/huma/v2"

	"posthorn/internal/state/setting"
)

// SettingsSchema describes every setting by name, made from the declarations:
// what setting-change takes in "set". It tells no values.
func (s *Service) SettingsSchema() *huma.Schema {
	object := &huma.Schema{Type: huma.TypeObject, Description: "All settings by name; values are in text form, as the command line takes them",
		AdditionalProperties: false, Properties: map[string]*huma.Schema{}}
	if s.o.Settings == nil {
		return object
	}
	for _, i := range s.o.Settings.List() {
		object.Properties[i.Name] = settingSchema(i)
	}
	return object
}

func settingSchema(i setting.Info) *huma.Schema {
	p := &huma.Schema{Type: huma.TypeString, Title: i.Summary, Description: i.Doc + "\n\nType: " + i.Type + written(i.Form), WriteOnly: i.Secret}
	if r := i.Range(); r != "" {
		p.Description += "; " + r
	}
	if !i.Secret {
		p.Default = i.Default
	}
	for _, value := range i.OneOf {
		p.Enum = append(p.Enum, value)
	}
	return p
}

// written adds how a value is written, where there is more to say than its type.
func written(form string) string {
	if form == "" {
		return ""
	}
	return " (" + form + ")"
}
