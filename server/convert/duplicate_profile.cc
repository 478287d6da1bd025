#include "server/convert/duplicate_profile.h"

#include <string>

#include "server/convert/text.h"

namespace relais::convert {

domain::DuplicateProfile DuplicateProfileOf(const domain::Lead& lead) {
  const domain::Person& person = lead.person;
  domain::DuplicateProfile profile;
  profile.given_name = FoldForSearch(person.given_name);
  profile.family_name = FoldForSearch(person.family_name);
  if (profile.given_name.empty() && profile.family_name.empty()) {
    const std::string name = FoldForSearch(person.display_name);
    const size_t first = name.find(' ');
    profile.family_name = first == std::string::npos ? name : name.substr(name.rfind(' ') + 1);
    if (first != std::string::npos) profile.given_name = name.substr(0, first);
  }
  profile.organization = FoldForSearch(lead.organization.display_name);
  if (!IsPublicMailDomain(lead.organization.domain)) profile.domain = lead.organization.domain;
  for (const domain::Email& email : person.emails) {
    profile.emails.push_back(FoldForSearch(email.address));
  }
  for (const domain::Phone& phone : person.phones) {
    profile.phones.push_back(phone.number.empty() ? phone.raw : phone.number);
  }
  profile.birth_date = person.birth_date;
  profile.street = FoldForSearch(person.postal_address.street);
  profile.locality = FoldForSearch(person.postal_address.locality);
  profile.region = FoldForSearch(person.postal_address.region);
  profile.postal_code = FoldForSearch(person.postal_address.postal_code);
  return profile;
}

}  // namespace relais::convert
